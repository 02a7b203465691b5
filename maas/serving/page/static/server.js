// Asking the server, at addresses relative to the page's own.

import { ServerError } from "./faults.js";
import { pieceOf, promptOf, textRequest } from "./texts.js";
import { word } from "./words.js";

/** Returns the models, each with its versions: the one that answers where none is named comes first. */
export async function models() {
  const { body } = await asked("v1/models");
  return body.data;
}

/** Returns a model's inputs, labels and examples. */
export async function described(choice) {
  const { body } = await asked(`v1/schema?${new URLSearchParams(choice)}`);
  return body;
}

/** Returns the prediction for an input, who made it, and how long that took. */
export async function predicted(schema, choice, input, signal) {
  const query = { ...choice, ...(schema.labels.length ? { scores: "true" } : {}) };
  return asked(`v1/${schema.task}?${new URLSearchParams(query)}`, request(input, schema.name, signal));
}

/** Returns what each part of an input adds to its prediction. */
export async function explained(choice, input, label, signal) {
  const query = new URLSearchParams({ ...choice, ...(label ? { label } : {}) });
  const { body } = await asked(`v1/explanations?${query}`, request(input, "inputs", signal));
  return body.explanations[0];
}

/** Returns what each word of a prompt adds to the likelihood of the text after it. */
export async function explainedText(schema, choice, input, text, signal) {
  const { body } = await asked(`v1/explanations?${new URLSearchParams(choice)}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ inputs: promptOf(schema, input), label: text }),
    signal,
  });
  return body.explanations[0];
}

/** Returns a request with an input: a file as it is, or JSON. */
function request(input, name, signal) {
  const { file, type, value } = input;
  const body = file ?? JSON.stringify({ [name]: value });
  return { method: "POST", headers: { "content-type": file ? type : "application/json" }, body, signal };
}

/** Generates a text, gives its pieces to `take` as they come, and returns how many tokens it has, who made it, and how long that took. */
export async function generated(schema, choice, input, signal, take) {
  const start = performance.now();
  const { address, body } = textRequest(schema, input);
  const query = new URLSearchParams({ version: choice.version });
  const response = await sent(`${address}?${query}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
  if (!response.ok) throw new ServerError(faultIn(await content(response), response));
  let tokens = 0;
  for await (const event of events(response.body)) {
    if (event.error) throw new ServerError(event.error.message);
    tokens = event.usage?.completion_tokens ?? tokens;
    take(pieceOf(event));
  }
  return { tokens, ...maker(response), ms: performance.now() - start };
}

/** Yields the events of a body as values, as they come. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (let part = await reader.read().catch(lost); !part.done; part = await reader.read().catch(lost)) {
    const whole = (held + part.value).split("\n\n");
    held = whole.pop();
    for (const event of whole) if (event !== "data: [DONE]") yield JSON.parse(event.slice("data: ".length));
  }
}

async function asked(address, options = {}) {
  const start = performance.now();
  const response = await sent(address, options);
  const body = await content(response);
  if (!response.ok) throw new ServerError(faultIn(body, response));
  return { body, ...maker(response), ms: performance.now() - start };
}

/** Returns a response, once its head is there. */
function sent(address, options) {
  return fetch(address, options).catch(lost);
}

function lost(error) {
  throw error.name === "AbortError" ? error : new ServerError(word("unreachable"));
}

const content = (response) => response.json().catch(() => ({}));

/** Returns what the server says of a fault; OpenAI's protocol has it one level below. */
const faultIn = ({ error }, { status, statusText }) => error?.message ?? error ?? `${status} ${statusText}`;

/** Returns model and version that made a reply. */
function maker(response) {
  const named = (header) => decodeURIComponent(response.headers.get(header) ?? "");
  return { model: named("maas-model"), version: named("maas-version") };
}
