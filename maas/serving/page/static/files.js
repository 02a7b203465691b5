// A picture or a sound: dropped, chosen, pasted, or an example of the model's own.

import { element } from "./elements.js";
import { FormError } from "./faults.js";
import { word } from "./words.js";

const OTHER_NAMES = { "audio/wave": "audio/wav", "audio/vnd.wave": "audio/wav", "audio/x-flac": "audio/flac" };

/** Returns a field for a file of the types that an input reads. */
export function fileInput(input, title) {
  const isSound = input.modality === "audio";
  const chooser = element("input", { type: "file", id: `input-${input.name}`, className: "unseen", accept: input.media_types.join(",") });
  const note = element("span", { className: "soft small", textContent: word(isSound ? "dropAudio" : "dropImage") });
  const preview = element("div", { className: "preview", hidden: true });
  const zone = element("label", { htmlFor: chooser.id, className: "zone" }, element("span", { textContent: word("drop") }), note);
  const node = element("div", { className: "field" }, element("p", { className: "name", textContent: title }), chooser, zone, preview);
  let held = null;

  const hold = (one, name, shown) => {
    held = one;
    note.textContent = word("chosen", { name });
    preview.replaceChildren(...(shown ? [shown] : []));
    preview.hidden = !shown;
  };
  const take = (file) => file && hold({ file }, file.name, media(isSound, URL.createObjectURL(file)));
  const fill = (row) => {
    chooser.value = "";
    hold({ value: row }, word("own"), shownExample(row, isSound));
  };
  chooser.addEventListener("change", () => take(chooser.files[0]));
  listen(node, zone, take);
  return { node, fill, read: (how) => readFile(held, input.media_types, how) };
}

function listen(node, zone, take) {
  const over = (event) => {
    event.preventDefault();
    zone.classList.toggle("over", event.type === "dragover");
  };
  for (const kind of ["dragover", "dragleave", "drop"]) node.addEventListener(kind, over);
  node.addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
  node.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
}

async function readFile(held, types, { asJson = false } = {}) {
  if (!held) throw new FormError(word("noFile"));
  if (!held.file) return { value: held.value };
  const type = OTHER_NAMES[held.file.type] ?? held.file.type;
  if (!asJson && types.includes(type)) return { file: held.file, type };
  return { value: await base64(held.file) };
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.slice(reader.result.indexOf(",") + 1)));
    reader.addEventListener("error", () => reject(new FormError(reader.error.message)));
    reader.readAsDataURL(file);
  });
}

function media(isSound, source) {
  return isSound ? element("audio", { controls: true, src: source }) : element("img", { alt: "", src: source });
}

function shownExample(row, isSound) {
  if (typeof row === "string") return media(isSound, `data:;base64,${row}`);
  return isSound || !Array.isArray(row) ? null : pixels(row);
}

/** Returns a picture of rows of pixels, grey or in colour. */
function pixels(rows) {
  const made = element("canvas", { width: rows[0].length, height: rows.length });
  const values = rows.flat().flatMap((one) => (Array.isArray(one) ? [...one, 255].slice(0, 4) : [one, one, one, 255]));
  const colours = values.length === 4 * made.width * made.height ? values : rows.flat().flatMap(([grey]) => [grey, grey, grey, 255]);
  made.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(colours), made.width), 0, 0);
  return made;
}
