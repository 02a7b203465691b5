// Numbers that are a picture: a board to draw on, and the same board in the colours of an explanation.

import { element } from "./elements.js";
import { word } from "./words.js";

const SMALLEST = 6; // below that, a square number of values is hardly a picture
const LARGEST = 64;

/** Returns height, width and range of an array that is drawn as a picture, or null: it has two axes, or is a square in a row. */
export function boardShape(schema) {
  if (schema.type !== "array" || !schema.maxItems) return null;
  const isFlat = schema.items.type === "number";
  const height = isFlat ? Math.sqrt(schema.maxItems) : schema.maxItems;
  const width = isFlat ? height : schema.items.maxItems;
  const { minimum, maximum, type } = isFlat ? schema.items : (schema.items.items ?? {});
  const sides = [height, width];
  const isPicture = type === "number" && sides.every((side) => Number.isInteger(side) && side >= SMALLEST && side <= LARGEST);
  return isPicture && maximum - minimum < 1e6 ? { height, width, low: minimum, high: maximum, isFlat } : null;
}

/** Returns a board whose values are read and written elsewhere, as the array that the model takes. */
export function board(shape, read, write) {
  const { height, width, low, high } = shape;
  const canvas = element("canvas", { width, height, className: "board", role: "img", "aria-label": word("draw") });
  let values = [];

  const draw = () => {
    values = read()?.flat() ?? [];
    const pixels = values.flatMap((value) => [0, 0, 0, (255 * (value - low)) / (high - low)]);
    const isWhole = pixels.length === 4 * width * height;
    const image = isWhole ? new ImageData(new Uint8ClampedArray(pixels), width) : new ImageData(width, height);
    canvas.getContext("2d").putImageData(image, 0, 0);
  };
  const add = (x, y, amount) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const at = y * width + x;
    values[at] = Math.min(high, Math.round((values[at] ?? low) + amount * (high - low)));
  };
  const paint = (event) => {
    const { left, top, width: wide, height: tall } = canvas.getBoundingClientRect();
    const [x, y] = [Math.floor(((event.clientX - left) * width) / wide), Math.floor(((event.clientY - top) * height) / tall)];
    if (values.length !== width * height) values = Array(width * height).fill(low);
    add(x, y, 1);
    for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) add(x + right, y + down, 0.2);
    write(nested(values, shape));
    draw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    paint(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && paint(event));
  const clear = () => {
    write(nested(Array(width * height).fill(low), shape));
    draw();
  };
  const button = element("button", { type: "button", className: "quiet", textContent: word("clear"), onclick: clear });
  const side = element("div", {}, element("p", { className: "soft small", textContent: word("draw") }), button);
  return { node: element("div", { className: "drawing" }, canvas, side), draw };
}

function nested(values, { height, width, isFlat }) {
  return isFlat ? values : Array.from({ length: height }, (_, row) => values.slice(row * width, (row + 1) * width));
}
