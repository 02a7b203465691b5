// Asking the server, at addresses relative to the page's own.

import { ServerError } from "./faults.js";
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

/** Returns a request with an input: a file as it is, or JSON. */
function request(input, name, signal) {
  const { file, type, value } = input;
  const body = file ?? JSON.stringify({ [name]: value });
  return { method: "POST", headers: { "content-type": file ? type : "application/json" }, body, signal };
}

async function asked(address, options = {}) {
  const start = performance.now();
  const response = await fetch(address, options).catch((error) => {
    throw error.name === "AbortError" ? error : new ServerError(word("unreachable"));
  });
  const body = await response.json().catch(() => ({ error: `${response.status} ${response.statusText}` }));
  if (!response.ok) throw new ServerError(body.error ?? `${response.status} ${response.statusText}`);
  const named = (header) => decodeURIComponent(response.headers.get(header) ?? "");
  return { body, model: named("maas-model"), version: named("maas-version"), ms: performance.now() - start };
}
