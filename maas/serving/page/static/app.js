// The page: a model is chosen, its form filled in, and what the server replies is shown.

import { options } from "./elements.js";
import { explanationNode } from "./explanations.js";
import { FormError, ServerError } from "./faults.js";
import { formOf } from "./inputs.js";
import { shown } from "./results.js";
import { described, explained, explainedText, generated, models, predicted } from "./server.js";
import { generates, growingText, textForm } from "./texts.js";
import { number, task, translate, word } from "./words.js";

const at = (id) => document.getElementById(id);
const state = { models: [], choice: {}, schema: null, form: null, example: 0, input: null, written: "", running: null };

/** Shows a line where something went wrong; what is no fault of the server or the form is a bug of the page. */
function refuse(error) {
  if (error.name === "AbortError") return;
  at("error").textContent = error.message;
  at("error").hidden = false;
  at("hint").hidden = true;
  if (!(error instanceof ServerError || error instanceof FormError)) throw error;
}

function forget() {
  for (const id of ["error", "result", "why"]) at(id).hidden = true;
  at("explanation").replaceChildren();
}

/** Runs one request at a time: a new one ends the one before. */
async function running(button, name, work) {
  state.running?.abort();
  const own = (state.running = new AbortController());
  const button_ = at(button);
  button_.setAttribute("aria-busy", "true");
  button_.textContent = word(name);
  at("error").hidden = true;
  try {
    await work(own.signal);
  } catch (error) {
    refuse(error);
  } finally {
    if (state.running === own) {
      state.running = null;
      at("stop").hidden = true;
    }
    button_.removeAttribute("aria-busy");
    button_.textContent = word(button_.dataset.word);
  }
}

async function predict(signal) {
  const start = state.schema;
  state.input = await state.form.read();
  if (generates(start.task)) return generate(start, signal);
  const { body, model, version, ms } = await predicted(start, state.choice, state.input, signal);
  const { node, spoken } = shown(body);
  forget();
  at("hint").hidden = true;
  at("prediction").replaceChildren(node);
  at("source").textContent = word("answered", { model, version, ms: number(Math.round(10 * ms) / 10) });
  at("result").hidden = at("why").hidden = false;
  at("spoken").textContent = spoken;
  at("label").replaceChildren(...options(start.labels, body.label));
  at("label").hidden = start.labels.length < 2;
}

/** Shows a text while it is generated; what has come stays where it is stopped. */
async function generate(schema, signal) {
  const text = growingText();
  forget();
  at("hint").hidden = true;
  at("prediction").replaceChildren(text.node);
  at("source").textContent = "";
  at("result").hidden = at("stop").hidden = false;
  const { tokens, model, version, ms } = await generated(schema, state.choice, state.input, signal, text.add);
  at("source").textContent = word("generated", { model, version, tokens, ms: number(Math.round(ms)) });
  at("spoken").textContent = state.written = text.node.textContent;
  at("why").hidden = !state.written;
  at("label").hidden = true;
}

async function explain(signal) {
  at("explanation").replaceChildren();
  const { schema, choice, input } = state;
  const found = generates(schema.task)
    ? await explainedText(schema, choice, input, state.written, signal)
    : await explained(choice, input, at("label").value, signal);
  const { node, spoken } = explanationNode(found, state.input);
  at("explanation").replaceChildren(node);
  at("spoken").textContent = spoken;
}

function fill() {
  const { examples } = state.schema;
  if (examples.length) state.form.fill(examples[state.example++ % examples.length]);
}

/** Says of the buttons and titles what a model of this task does. */
function entitle(task) {
  const words = generates(task) ? ["generate", "written", "hintText"] : ["predict", "prediction", "hint"];
  ["predict", "result-title", "hint"].forEach((id, place) => (at(id).dataset.word = words[place]));
  translate(document);
}

/** Makes the form of the chosen model. */
async function choose(choice) {
  state.running?.abort();
  state.choice = choice;
  forget();
  at("hint").hidden = false;
  const schema = await described(choice);
  if (state.choice !== choice) return; // another one was chosen meanwhile
  state.schema = schema;
  state.form = generates(schema.task) ? textForm(schema) : formOf(schema);
  entitle(schema.task);
  state.example = 0;
  at("inputs").replaceChildren(state.form.node);
  at("title").textContent = document.title = choice.model;
  at("task").textContent = task(state.schema.task);
  at("example").hidden = !state.schema.examples.length;
  fill();
  history.replaceState(null, "", `?${new URLSearchParams(choice)}`);
}

/** Offers the versions of a model, with their labels. */
function offerVersions(name, wanted) {
  const model = state.models.find((one) => one.id === name);
  const labels = Object.entries(model.version_labels);
  const choices = model.model_version_status.map(({ version }) => {
    const own = labels.filter(([, one]) => one === version).map(([label]) => label);
    return new Option(own.length ? `${version} (${own.join(", ")})` : version, version, false, version === wanted);
  });
  at("version").replaceChildren(...choices);
  at("version").disabled = choices.length < 2;
}

async function begin() {
  translate(document);
  state.models = await models();
  const query = new URLSearchParams(location.search);
  const wanted = state.models.find((one) => one.id === query.get("model")) ?? state.models[0];
  at("model").replaceChildren(...options(state.models.map((one) => one.id), wanted.id));
  for (const one of document.querySelectorAll("#model, [for=model]")) one.hidden = state.models.length < 2;
  offerVersions(wanted.id, query.get("version"));
  await choose({ model: wanted.id, version: at("version").value });
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  running("predict", generates(state.schema?.task) ? "generating" : "predicting", predict);
});
at("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
});
at("example").addEventListener("click", () => {
  forget();
  at("hint").hidden = false;
  fill();
});
at("stop").addEventListener("click", () => state.running?.abort());
at("explain").addEventListener("click", () => running("explain", "explaining", explain));
at("label").addEventListener("change", () => running("explain", "explaining", explain));
at("model").addEventListener("change", () => {
  offerVersions(at("model").value, null);
  choose({ model: at("model").value, version: at("version").value }).catch(refuse);
});
at("version").addEventListener("change", () => choose({ model: at("model").value, version: at("version").value }).catch(refuse));
begin().catch(refuse);
