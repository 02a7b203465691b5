// Texts that a model generates: a prompt, settings, and the text as it comes.

import { element } from "./elements.js";
import { FormError } from "./faults.js";
import { word } from "./words.js";

const SETTINGS = { temperature: { value: 0.7, min: 0, max: 2, step: 0.1 }, tokens: { value: 128, min: 1, max: 100000, step: 1 } };

/** Returns whether a model of this task generates texts. */
export const generates = (task) => task === "text-generation";

/** Returns a form like those of other models: its element, `read()` for prompt and settings, `fill(prompt)`. */
export function textForm(schema) {
  const area = element("textarea", { id: "input-prompt", rows: 5, placeholder: word("promptHint"), maxLength: 20000 });
  const fields = Object.entries(SETTINGS).map(([name, range]) => setting(name, range));
  const node = element(
    "div",
    { className: "fields" },
    element("div", { className: "field" }, element("label", { htmlFor: area.id, textContent: word(schema.conversations ? "message" : "prompt") }), area),
    element("div", { className: "grid" }, ...fields.map((field) => field.node)),
  );
  const read = () => {
    if (!area.value) throw new FormError(word("noPrompt"));
    return { prompt: area.value, value: area.value, ...Object.fromEntries(fields.map((field) => [field.name, field.read()])) };
  };
  return { node, read, fill: (prompt) => (area.value = prompt) };
}

function setting(name, range) {
  const input = element("input", { id: `setting-${name}`, type: "number", required: true, ...range });
  const read = () => {
    if (!input.checkValidity()) throw new FormError(word("noRange", { name: word(name), ...range }));
    return input.valueAsNumber;
  };
  return { name, read, node: element("div", {}, element("label", { htmlFor: input.id, textContent: word(name) }), input) };
}

/** Returns the place of a text that is being generated: its element, and `add(piece)`. */
export function growingText() {
  const node = element("p", { className: "written" });
  return { node, add: (piece) => node.append(piece) };
}

/** Returns a prompt as the model takes it: a text, or a conversation of one message. */
export const promptOf = (schema, { prompt }) => (schema.conversations ? [{ role: "user", content: prompt }] : prompt);

/** Returns the body of a request for a text, and where it is sent. */
export function textRequest(schema, input) {
  const { temperature, tokens } = input;
  const settings = { model: schema.model, temperature, max_tokens: tokens, stream: true, stream_options: { include_usage: true } };
  if (!schema.conversations) return { address: "v1/completions", body: { ...settings, prompt: promptOf(schema, input) } };
  return { address: "v1/chat/completions", body: { ...settings, messages: promptOf(schema, input) } };
}

/** Returns what an event adds to the text. */
export function pieceOf({ choices: [choice] }) {
  return choice?.text ?? choice?.delta?.content ?? "";
}
