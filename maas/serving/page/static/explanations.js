// An explanation: marked words, a heat map, a coloured wave, bars of columns.

import { boardShape } from "./board.js";
import { drawn, element } from "./elements.js";
import { number, signed, word } from "./words.js";

const STRONGEST = { patches: 4, windows: 5 };
const STRONGEST_ELSE = 8;

/** Returns what is seen of an explanation of an input, and what is said of it. */
export function explanationNode(explanation, input) {
  const { quantity, label, value, baseline, inputs } = explanation;
  const key = label === null ? "speaksValue" : "speaks";
  const numbers = { quantity: word(quantity), label, value: number(value), baseline: number(baseline) };
  const largest = Math.max(...inputs.flatMap((one) => one.parts.map((part) => Math.abs(part.attribution))), 1e-12);
  const views = inputs.map((one) => view(one, largest, inputs.length > 1, input.value));
  const spoken = word(key, numbers);
  const colours = label === null ? legend("lowers", "raises") : legend("against", "for");
  return { node: element("div", {}, element("p", { className: "small", textContent: spoken }), colours, ...views), spoken };
}

function view(one, largest, isNamed, value) {
  const draw = { words, patches, windows, columns: cells }[one.kind];
  const row = isNamed ? value[one.name] : value;
  const picture = draw ? draw(one, largest, row) : null;
  const title = isNamed ? element("h4", { textContent: one.name }) : null;
  return element("div", { className: "view" }, title, picture, bars(one, largest, isNamed ? value : row));
}

function legend(low, high) {
  const side = (name) => element("span", { textContent: word(name) });
  return element("p", { className: "legend small soft" }, side(low), element("span", { className: "scale", "aria-hidden": "true" }), side(high));
}

/** The colour of an attribution: `--for` or `--against` of the style sheet, as strong as it is. */
function tint(attribution, largest) {
  const strength = Math.round((100 * Math.abs(attribution)) / largest);
  return `color-mix(in srgb, var(${attribution > 0 ? "--for" : "--against"}) ${strength}%, transparent)`;
}

function words({ parts }, largest, text) {
  const signs = [...text]; // places count characters, not UTF-16 units
  const node = element("p", { className: "words", lang: "" });
  let end = 0;
  for (const { place, attribution } of parts) {
    node.append(signs.slice(end, place[0]).join(""));
    const own = signs.slice(...place).join("");
    const style = { "background-color": tint(0.75 * attribution, largest) };
    node.append(element("span", { className: attribution > 0 ? "for" : "against", title: signed(attribution), textContent: own, style }));
    end = place[1];
  }
  node.append(signs.slice(end).join(""));
  return node;
}

function patches({ parts, seen }, largest) {
  const [width, height] = [Math.max(...parts.map((part) => part.place[2])), Math.max(...parts.map((part) => part.place[3]))];
  const image = (kind) => drawn("image", { href: seen, width, height, class: `${kind}${width < 100 ? " pixels" : ""}` });
  const heat = parts.map(({ place: [left, top, right, bottom], attribution }) => {
    const patch = drawn("rect", { x: left, y: top, width: right - left, height: bottom - top }, drawn("title", {}, signed(attribution)));
    patch.style.setProperty("fill", tint(0.8 * attribution, largest));
    return patch;
  });
  const picture = (name, ...children) => drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": word(name) }, ...children);
  return element("div", { className: "pictures" }, picture("seen", image("plain")), picture("explain", image("faded"), ...heat));
}

/** Returns the cells of an array that is a picture, or null. */
function cells({ parts }, largest, row) {
  const shape = Array.isArray(row) && boardShape(likeSchema(row));
  if (!shape) return null;
  const { height, width } = shape;
  const made = parts.flatMap(({ place: [start, end], attribution }) =>
    Array.from({ length: end - start }, (_, at) => {
      const [x, y] = [(start + at) % width, Math.floor((start + at) / width)];
      const cell = drawn("rect", { x, y, width: 1, height: 1 }, drawn("title", {}, signed(attribution)));
      cell.style.setProperty("fill", tint(attribution, largest));
      return cell;
    }),
  );
  const frame = { viewBox: `0 0 ${width} ${height}`, class: "cells", role: "img", "aria-label": word("explain") };
  return drawn("svg", frame, ...made);
}

/** Returns what `boardShape` reads of a schema, from a row itself. */
function likeSchema(row) {
  const items = Array.isArray(row[0]) ? likeSchema(row[0]) : { type: "number", minimum: 0, maximum: 1 };
  return { type: "array", maxItems: row.length, items };
}

function windows({ parts, seen }, largest) {
  const end = Math.max(...parts.map((part) => part.place[1]));
  const loudest = Math.max(...seen.flat().map(Math.abs), 1e-6);
  const scale = 46 / loudest;
  const back = parts.map(({ name, place: [start, stop], attribution }) => {
    const x = (600 * start) / end;
    const made = drawn("rect", { x, y: 0, width: (600 * stop) / end - x, height: 100 }, drawn("title", {}, `${name}: ${signed(attribution)}`));
    made.style.setProperty("fill", tint(0.75 * attribution, largest));
    return made;
  });
  const step = 600 / seen.length;
  const line = (side, order) => order.map((at) => `${(at + 0.5) * step},${50 - scale * seen[at][side]}`);
  const places = seen.map((_, at) => at);
  const wave = drawn("polygon", { points: [...line(1, places), ...line(0, places.reverse())].join(" "), class: "wave" });
  return drawn("svg", { viewBox: "0 0 600 100", class: "sound", preserveAspectRatio: "none", role: "img", "aria-label": word("seen") }, ...back, wave);
}

/** Returns the strongest parts as bars to either side of zero, and all others in one line. */
function bars({ kind, parts }, largest, row) {
  const sorted = [...parts].sort((one, other) => Math.abs(other.attribution) - Math.abs(one.attribution));
  const most = STRONGEST[kind] ?? STRONGEST_ELSE;
  const count = sorted.length === most + 1 ? sorted.length : most;
  const others = sorted.slice(count);
  const rows = sorted.slice(0, count).map(({ name, attribution }) => partBar(partName(name, kind, row), attribution, largest));
  if (others.length) {
    const sum = others.reduce((total, part) => total + part.attribution, 0);
    rows.push(partBar(word("others", { count: others.length }), sum, largest, "soft"));
  }
  const title = element("h4", { textContent: word("strongest") });
  return element("div", {}, kind === "columns" ? null : title, element("ul", { className: "parts" }, ...rows));
}

function partName(name, kind, row) {
  if (kind === "whole") return word("whole");
  if (kind !== "columns" || !row || !(name in row)) return name;
  return `${Array.isArray(row) ? `[${name}]` : name} = ${row[name] ?? word("missing")}`;
}

function partBar(name, attribution, largest, className = "") {
  const width = `${Math.min(50, (50 * Math.abs(attribution)) / largest)}%`;
  const side = attribution > 0 ? "for" : "against";
  return element(
    "li",
    { className },
    element("span", { className: "name", textContent: name, title: name }),
    element("span", { className: "track", "aria-hidden": "true" }, element("span", { className: `filled ${side}`, style: { width } })),
    element("span", { className: "number", textContent: signed(attribution) }),
  );
}
