/** Input: a typed row, files, or a recording. */

import { byId } from "./elements.js";
import { Fields, kindOfRow } from "./fields.js";
import { canRecord } from "./recorder.js";
import { listenToRecording } from "./recording.js";

const HEADINGS = { audio: "Sounds", image: "Images", table: "Row", text: "Text" };
const DROP_HINTS = {
  audio: "Drop sound files here",
  image: "Drop images here, or paste one",
  table: "Or predict the rows of files: CSV or JSON lines",
  text: "Or predict files: a text each, or tables of texts",
};
const EXAMPLE_FILES = { audio: ["example.wav", "audio/wav"], image: ["example.png", "image/png"] };

let kind = null; // of the inputs
let fields = null; // of a row, unless inputs are files
let example = null; // a row

/** Show what the network of a description takes, and keep what was typed. */
export function showInput(model) {
  const typed = fields?.row;
  kind = kindOfRow(model.row);
  [example] = model.example.request.inputs;
  const isFile = kind in EXAMPLE_FILES;
  fields = isFile ? null : new Fields(model.row);
  byId("fields").replaceChildren(...(fields?.elements ?? []));
  if (fields && typed) fields.row = typed;

  byId("input-title").textContent = HEADINGS[kind];
  byId("drop-hint").textContent = DROP_HINTS[kind];
  byId("file-hint").textContent = isFile ? Object.values(model.row.properties)[0].description : "";
  byId("predict").textContent = model.task === "language_modelling" ? "Continue" : "Predict";
  byId("files").accept = isFile ? `${kind}/*` : "";
  byId("drop").classList.toggle("only", isFile);
  show("row", !isFile);
  show("try", isFile);
  show("missing-hint", kind === "table");
  show("enter-hint", kind === "text");
  show("photo", kind === "image");
  show("record", kind === "audio" && canRecord());
  show("insecure", kind === "audio" && !canRecord());
}

/** Focus the first control. */
export function focusInput() {
  byId(fields ? "field-0" : "files").focus();
}

/** Call `onRow` for each row that is submitted, and `onFiles` for files and recordings. */
export function listenToInput({ onRow, onFiles }) {
  byId("row").addEventListener("submit", (event) => {
    event.preventDefault();
    onRow(fields.row);
  });
  byId("fields").addEventListener("keydown", submitText);
  byId("fill").addEventListener("click", () => (fields.row = example));
  byId("try").addEventListener("click", () => onFiles([exampleFile()]));
  listenToRecording((file) => onFiles([file]));
  for (const input of document.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      onFiles([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  listenToDrops(onFiles);
}

/** Submit a text at Enter, except on phones and within a word of an input method. */
function submitText(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  if (event.target.tagName !== "TEXTAREA" || matchMedia("(pointer: coarse)").matches) return;
  event.preventDefault();
  byId("row").requestSubmit();
}

function listenToDrops(onFiles) {
  const hasFiles = (transfer) => [...transfer.types].includes("Files");
  const mark = (event, over) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    byId("drop").classList.toggle("over", over);
  };
  document.addEventListener("dragover", (event) => mark(event, true));
  document.addEventListener("dragleave", (event) => mark(event, false));
  document.addEventListener("drop", (event) => {
    mark(event, false);
    if (event.dataTransfer.files.length) onFiles([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    if (fields) return; // office programs add a picture to copied text
    if (event.clipboardData.files.length) onFiles([...event.clipboardData.files]);
  });
}

/** Return the file that is encoded in the example. */
function exampleFile() {
  const [encoded] = Object.values(example);
  const [name, type] = EXAMPLE_FILES[kind];
  const content = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  return new File([content], name, { type });
}

function show(id, condition) {
  byId(id).hidden = !condition;
}
