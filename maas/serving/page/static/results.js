// A prediction: labels with bars, a text, a value, or a vector.

import { drawn, element } from "./elements.js";
import { number, percent, word } from "./words.js";

const SHOWN_LABELS = 10;

/** Returns what is seen of a prediction, and what is said of it. */
export function shown(prediction) {
  if (prediction.label !== undefined) return labels(prediction);
  if (Array.isArray(prediction.labels)) return labelSet(prediction);
  if (typeof prediction.text === "string") return transcript(prediction);
  if (typeof prediction.value === "number") return value(prediction.value);
  if (Array.isArray(prediction.embedding)) return vector(prediction.embedding);
  if (typeof prediction.translation === "string") return text(prediction.translation);
  return { node: element("pre", { textContent: JSON.stringify(prediction, null, 2) }), spoken: "" };
}

function labels({ label, score, scores }) {
  const head = element("p", { className: "answer" }, element("strong", { textContent: label }), element("span", { textContent: percent(score) }));
  const sorted = Object.entries(scores ?? { [label]: score }).sort(([, one], [, other]) => other - one);
  const list = element("ol", { className: "bars" }, ...sorted.map(([name, one], at) => bar(name, one, at)));
  const node = element("div", {}, head, list);
  if (sorted.length > SHOWN_LABELS) {
    list.classList.add("some");
    const all = () => {
      list.classList.remove("some");
      more.remove();
    };
    const more = element("button", { type: "button", className: "quiet", textContent: word("all", { count: sorted.length }), onclick: all });
    node.append(more);
  }
  return { node, spoken: word("spoken", { label, percent: percent(score) }) };
}

function labelSet({ labels: names, scores }) {
  const said = names.join(", ") || word("noLabel");
  const head = element("p", { className: "answer" }, element("strong", { textContent: said }));
  const sorted = Object.entries(scores).sort(([, one], [, other]) => other - one);
  const list = element("ol", { className: "bars" }, ...sorted.map(([name, one]) => bar(name, one, names.includes(name) ? 0 : 1)));
  return { node: element("div", {}, head, list), spoken: said };
}

function bar(name, score, at) {
  const filled = element("span", { className: "filled", style: { width: `${100 * score}%` } });
  return element(
    "li",
    { className: at ? "" : "first" },
    element("span", { className: "name", textContent: name, title: name }),
    element("span", { className: "track", "aria-hidden": "true" }, filled),
    element("span", { className: "percent", textContent: percent(score) }),
  );
}

function transcript({ text, score }) {
  const said = text || word("nothing");
  const node = element("p", { className: "answer" }, element("strong", { textContent: said }), element("span", { textContent: percent(score) }));
  return { node, spoken: word("spoken", { label: said, percent: percent(score) }) };
}

function value(found) {
  const node = element("p", { className: "answer" }, element("strong", { textContent: number(found), title: String(found) }));
  return { node, spoken: number(found) };
}

function text(found) {
  return { node: element("p", { className: "answer" }, element("strong", { textContent: found })), spoken: found };
}

function vector(numbers) {
  const length = number(Math.hypot(...numbers));
  const said = word("vector", { count: numbers.length, length });
  const copy = element("button", { type: "button", className: "quiet", textContent: word("copy"), onclick: () => copied(copy, numbers) });
  const node = element("div", {}, element("p", { className: "answer" }, element("strong", { textContent: said })), stripes(numbers), copy);
  return { node, spoken: said };
}

async function copied(button, numbers) {
  await navigator.clipboard?.writeText(JSON.stringify(numbers));
  button.textContent = word("copied");
}

/** Returns a bar up or down for each number. */
function stripes(numbers) {
  const largest = Math.max(...numbers.map(Math.abs), 1e-12);
  const width = 600 / numbers.length;
  const bars = numbers.map((one, at) => {
    const height = (48 * Math.abs(one)) / largest;
    return drawn("rect", { x: at * width, y: one > 0 ? 50 - height : 50, width: Math.max(0.6, width * 0.8), height, class: one > 0 ? "up" : "down" });
  });
  return drawn("svg", { viewBox: "0 0 600 100", class: "stripes", preserveAspectRatio: "none", role: "img", "aria-label": numbers.slice(0, 8).map(number).join(", ") }, ...bars);
}
