/** What people give: a typed row, files, or a recording. */

import { byId } from "./elements.js";
import { Fields } from "./fields.js";
import { canRecord } from "./recorder.js";
import { listenToRecording } from "./recording.js";

const HEADINGS = { audio: "Sounds", image: "Images", speech: "Speech", table: "Row", text: "Text" };
const EXAMPLES = { "image/*": ["example.png", "image/png"], "audio/*": ["example.wav", "audio/wav"] };

const DROP_HINTS = {
  image: "Drop images here, or paste one",
  table: "Or drop tables: CSV, JSON lines or Parquet",
  text: "Or drop files: a text each, or tables of texts",
};

let fields = null; // of a row, if a row is typed
let example = null; // a row
let media = null; // type of the files that the network takes; null if a row is typed

/** Show what the network of a description takes, and keep what was typed. */
export function showInput(model) {
  const properties = Object.values(model.row.properties);
  const typed = fields?.row;
  media = properties.find((each) => each.contentMediaType)?.contentMediaType ?? null;
  example = model.example?.request.inputs[0] ?? null;
  fields = media ? null : new Fields(model.row);
  byId("fields").replaceChildren(...(fields?.elements ?? []));
  if (fields && typed) fields.row = typed;

  const isText = model.kind === "text";
  byId("input-title").textContent = HEADINGS[model.kind] ?? "Input";
  byId("drop-hint").textContent = DROP_HINTS[model.kind] ?? "Drop files here";
  byId("predict").textContent = model.task === "language_modelling" ? "Continue" : "Predict";
  byId("files").accept = media ?? "";
  byId("drop").classList.toggle("only", !fields);
  show("row", fields);
  show("missing-hint", fields && !isText);
  show("enter-hint", isText);
  show("photo", media === "image/*");
  show("record", media === "audio/*" && canRecord());
  show("insecure", media === "audio/*" && !canRecord());
  show("fill", fields && example);
  show("try", media && example);
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

/** Submit at Enter in a text, unless it begins a new line or ends a word of an input method. */
function submitText(event) {
  const isPlain = event.key === "Enter" && !event.shiftKey && !event.isComposing;
  if (event.target.tagName !== "TEXTAREA" || !isPlain || matchMedia("(pointer: coarse)").matches) return;
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
    if (event.clipboardData.files.length) onFiles([...event.clipboardData.files]);
  });
}

/** Return the file that is encoded in the example. */
function exampleFile() {
  const [encoded] = Object.values(example);
  const [name, type] = EXAMPLES[media] ?? ["example", ""];
  return new File([Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0))], name, { type });
}

function show(id, condition) {
  byId(id).hidden = !condition;
}
