// One column of a row: a number, a category or a truth value; empty is missing.

import { element } from "./elements.js";
import { FormError } from "./faults.js";
import { word } from "./words.js";

/** Returns a column's field: its name, its element, `read()` and `fill(value)`. */
export function column(name, schema) {
  const types = [schema.type].flat();
  const isNumber = types.includes("number") && !types.includes("string");
  const id = `column-${name}`;
  const own = isNumber ? { type: "text", inputMode: "decimal" } : { type: "text" };
  const input = element("input", { id, placeholder: word("missing"), autocomplete: "off", ...own });
  const known = isNumber ? [] : (schema.examples ?? []);
  if (known.length) input.setAttribute("list", `${id}-known`);
  const list = known.length ? element("datalist", { id: `${id}-known` }, ...known.map((value) => element("option", { value }))) : null;
  const node = element("div", { className: "field" }, element("label", { htmlFor: id, textContent: name, title: schema.description ?? "" }), input, list);
  return { name, node, read: () => read(name, input.value, isNumber, known), fill: (value) => (input.value = value ?? "") };
}

function read(name, text, isNumber, known) {
  if (text.trim() === "") return null;
  if (!isNumber) return ["true", "false"].includes(text) && !known.includes(text) ? text === "true" : text;
  const value = Number(text.trim().replace(",", "."));
  if (!Number.isFinite(value)) throw new FormError(word("noNumber", { name }));
  return value;
}
