// The form of a model's inputs, made from their schemas.

import { board, boardShape } from "./board.js";
import { column } from "./columns.js";
import { element } from "./elements.js";
import { FormError } from "./faults.js";
import { fileInput } from "./files.js";
import { word } from "./words.js";

/**
 * Returns a form: its element, `read()` for the input as the server takes it, `fill(row)` for an example.
 * An input is `{value}`, or `{file, type}` where the whole body may be the file.
 */
export function formOf(schema) {
  const isAlone = schema.inputs.length === 1;
  const parts = schema.inputs.map((input) => ({ input, field: fieldOf(input, isAlone) }));
  const node = element("div", { className: "fields" }, ...parts.map((part) => part.field.node));
  if (isAlone) return { ...parts[0].field, node };
  return { node, fill: (row) => parts.forEach(({ input, field }) => field.fill(isMerged(input) ? row : row[input.name])), read: () => combined(parts) };
}

/** Columns of a combined row stand in the row itself, other inputs under their names. */
const isMerged = (input) => input.modality === "tabular";

async function combined(parts) {
  const row = {};
  for (const { input, field } of parts) {
    const { value } = await field.read({ asJson: true });
    Object.assign(row, isMerged(input) ? value : { [input.name]: value });
  }
  return { value: row };
}

/** Returns a field of what an input takes; among several inputs it has the input's own name. */
function fieldOf(input, isAlone) {
  const title = (key) => (isAlone ? word(key) : input.name);
  if (input.media_types.length) return fileInput(input, title(input.modality === "audio" ? "audio" : "image"));
  if (input.schema.type === "string") return textInput(input, title("text"));
  if (input.modality === "tabular" && input.schema.properties) return columnsInput(input);
  return jsonInput(input, title(input.schema.type === "array" ? "array" : "json"));
}

function textInput(input, title) {
  const area = element("textarea", { id: `input-${input.name}`, rows: 5, placeholder: word("textHint"), maxLength: 5000 });
  const node = element("div", { className: "field" }, titled(title, area.id), area);
  return { node, read: () => ({ value: area.value }), fill: (text) => (area.value = text) };
}

function columnsInput(input) {
  const columns = Object.entries(input.schema.properties).map(([name, schema]) => column(name, schema));
  const node = element("fieldset", { className: "grid" }, ...columns.map((one) => one.node));
  const read = () => ({ value: Object.fromEntries(columns.map((one) => [one.name, one.read()])) });
  const fill = (row) => columns.forEach((one, at) => one.fill(Array.isArray(row) ? row[at] : row[one.name]));
  return { node, read, fill };
}

function jsonInput(input, title) {
  const area = element("textarea", { id: `input-${input.name}`, rows: 5, className: "code", spellcheck: false });
  const parsed = () => {
    try {
      return { value: JSON.parse(area.value) };
    } catch (error) {
      return { fault: word("noJson", { reason: error.message }) };
    }
  };
  const write = (row) => {
    const text = JSON.stringify(row);
    area.value = text.includes('"') ? text : text.replaceAll(",", ", "); // lines of numbers break between them
  };
  const shape = boardShape(input.schema);
  const drawing = shape && board(shape, () => parsed().value, write);
  if (drawing) area.addEventListener("input", drawing.draw);
  const read = () => {
    const { value, fault } = parsed();
    if (fault) throw new FormError(fault);
    return { value };
  };
  const fill = (row) => {
    write(row);
    drawing?.draw();
  };
  return { node: element("div", { className: "field" }, titled(title, area.id), drawing?.node ?? null, area), read, fill };
}

function titled(title, id) {
  return element("label", { htmlFor: id, textContent: title });
}
