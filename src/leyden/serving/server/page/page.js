/** The page: loads the description of the network, sends inputs, and shows a card for each. */

import { Card } from "./cards.js";
import { byId, element } from "./elements.js";
import { focusInput, listenToInput, showInput } from "./input.js";
import { kindOfRow } from "./fields.js";
import { fetchModel, predictFile, predictRow, useKey } from "./server.js";

const AT_ONCE = 4; // files that are sent side by side
const LONGEST_TITLE = 200; // characters

const TASKS = {
  classification: "Classification",
  ctc: "Speech recognition",
  language_modelling: "Language model",
  multilabel: "Multi-label classification",
  regression: "Regression",
};

let model = null; // its description, as of GET /v1/model
let cards = [];

async function start() {
  byId("problem").hidden = true;
  try {
    showModel(await fetchModel());
  } catch (error) {
    showProblem(error);
    return;
  }
  byId("input").hidden = byId("results").hidden = false;
  if (byId("key").hidden) return;
  byId("key").hidden = true;
  focusInput();
}

function showProblem(error) {
  if (error.status === 401) {
    askForKey();
  } else {
    byId("problem").hidden = false;
    byId("problem").querySelector("p").textContent = error.message;
  }
}

function askForKey() {
  const isAnotherTry = !byId("key").hidden;
  byId("key-error").textContent = isAnotherTry ? "The server does not know this key." : "";
  byId("key").hidden = false;
  byId("key-value").select();
}

function showModel(described) {
  const takesOtherRows = JSON.stringify(described.row) !== JSON.stringify(model?.row);
  model = described;
  showAbout();
  if (takesOtherRows) showInput(model);
}

function showAbout() {
  const names = model.class_names;
  const noun = model.task === "multilabel" ? "labels" : "classes";
  const count = names.length ? [`${names.length} ${noun}`] : [];
  const task = TASKS[model.task] ?? model.task;
  const words = [model.target ? `${task} of ${model.target}` : task, ...count];
  document.title = `${model.name} – Leyden`;
  byId("name").textContent = model.name;
  byId("summary").textContent = [...words, `version ${model.version}`].join(" · ");

  const facts = Object.entries(model.metrics)
    .filter(([name, value]) => !name.startsWith("train/") && typeof value === "number")
    .map(([name, value]) => [name, String(Number(value.toPrecision(4)))]);
  if (names.length) facts.push([noun, names.join(", ")]);
  const pairs = facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", { dir: "auto" }, value)),
  );
  byId("about").hidden = pairs.length === 0;
  byId("facts").replaceChildren(...pairs);
}

async function sendRow(row) {
  const text = kindOfRow(model.row) === "text" ? Object.values(row)[0] : null;
  const words = Object.entries(row).map(([name, value]) => `${name}: ${value ?? "–"}`);
  const title = (text ?? words.join(", ")).slice(0, LONGEST_TITLE);
  const [card] = addCards([new Card({ title, text })]);
  await answer(card, () => predictRow(row));
}

async function sendFiles(files) {
  if (!model) return; // dropped beside the question for the key
  const added = addCards(files.map((file) => new Card({ title: file.name, file })));
  const waiting = added.entries(); // shared, so that each file is sent once
  const work = async () => {
    for (const [index, card] of waiting) await answer(card, () => predictFile(files[index]));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function answer(card, predict) {
  try {
    const answered = await predict();
    card.show(answered, model);
    if (answered.model.version !== model.version) start(); // it has been replaced
  } catch (error) {
    card.fail(error.message); // of the server, the network or the browser
    if (error.status === 401) askForKey();
  }
}

function addCards(added) {
  cards.push(...added);
  byId("cards").prepend(...added.map((card) => card.element));
  byId("empty").hidden = true;
  byId("clear").hidden = false;
  return added;
}

function clearCards() {
  for (const card of cards) card.remove();
  cards = [];
  byId("empty").hidden = false;
  byId("clear").hidden = true;
  byId("results-title").focus(); // the button is gone
}

byId("key").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(byId("key-value").value.trim());
  start();
});
byId("problem").querySelector("button").addEventListener("click", start);
byId("clear").addEventListener("click", clearCards);
listenToInput({ onRow: sendRow, onFiles: sendFiles });
start();
