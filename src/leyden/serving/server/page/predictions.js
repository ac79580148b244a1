/** Predictions as elements: a headline, then details. */

import { element } from "./elements.js";

const LABELS = 5; // most probable labels that are shown, if fewer are predicted
const ROWS = 500; // rows of a file that are shown
const PROBABILITY = "probability of "; // begins the columns of labels

const BUILDERS = {
  classification({ class: name, probability, top }) {
    const bars = top.map((each) => [each.class, each.probability, each.class === name]);
    return [buildHeadline(name, formatShare(probability)), buildBars(bars)];
  },
  multilabel({ labels, ...columns }) {
    const predicted = labels.split(";").filter(Boolean);
    const bars = Object.entries(columns)
      .filter(([column]) => column.startsWith(PROBABILITY))
      .map(([column, share]) => [column.slice(PROBABILITY.length), share])
      .map(([name, share]) => [name, share, predicted.includes(name)])
      .sort(([, first], [, second]) => second - first)
      .slice(0, Math.max(LABELS, predicted.length));
    const names = bars.filter(([, , isPredicted]) => isPredicted).map(([name]) => name);
    return [buildHeadline(names.join(", ") || "No label"), buildBars(bars)];
  },
  regression({ value }, { unit }) {
    return [buildHeadline(String(value), unit)];
  },
  ctc({ transcript }) {
    return [buildProse(transcript || "(no words)")];
  },
  language_modelling({ text }, { given }) {
    const start = given?.trim() ?? "";
    if (!text.startsWith(start)) return [buildProse(text)];
    return [buildProse(start, element("mark", {}, text.slice(start.length)))];
  },
};

/** Build the elements of one prediction.
 *
 * @param task Name of the task; one of a project's own is shown as names and values.
 * @param unit Unit of a predicted number, if it is known.
 * @param given The text that was typed, if one was.
 */
export function buildPrediction({ file, ...prediction }, { task, unit, given }) {
  if (task in BUILDERS) return BUILDERS[task](prediction, { unit, given });
  const facts = Object.entries(prediction).map(([name, value]) => `${name}: ${formatCell(value)}`);
  return [buildProse(facts.join("\n"))];
}

/** Build a table of the predictions for the rows of a file. */
export function buildTable(predictions) {
  const [first = {}] = predictions;
  const columns = Object.keys(first).filter((name) => name !== "file" && name !== "top");
  const buildCells = (tag, write) =>
    columns.map((name) =>
      element(tag, { className: typeof first[name], dir: "auto" }, write(name)),
    );
  const head = [element("th", {}, "row"), ...buildCells("th", (name) => name)];
  const rows = predictions.slice(0, ROWS).map((prediction, index) => {
    const cells = buildCells("td", (name) => formatCell(prediction[name]));
    return element("tr", {}, element("th", { scope: "row" }, String(index + 1)), ...cells);
  });
  const table = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
  const shown = rows.length < predictions.length ? `, of which ${ROWS} are shown` : "";
  return [
    buildHeadline(`${predictions.length} rows${shown}`),
    element(
      "div",
      { className: "scroll", role: "region", ariaLabel: "Predictions", tabIndex: 0 },
      table,
    ),
  ];
}

/** Build a headline of an answer, and what is read with it: its probability or unit. */
function buildHeadline(answer, beside) {
  const headline = element("p", { className: "headline" }, element("bdi", {}, answer));
  if (beside) headline.append(" ", element("span", { className: "share" }, beside));
  return headline;
}

function buildProse(...content) {
  return element("p", { className: "prose", dir: "auto" }, ...content);
}

/** Build bars of [name, share from 0 to 1, whether it is predicted]. */
function buildBars(bars) {
  const items = bars.map(([name, share, isPredicted]) => {
    const bar = element("span", { className: "bar" });
    bar.style.setProperty("--share", share);
    const number = element("span", { className: "share" }, formatShare(share));
    const className = isPredicted ? "predicted" : "";
    return element("li", { className }, element("bdi", {}, name), number, bar);
  });
  return element("ol", { className: "bars" }, ...items);
}

function formatShare(share) {
  if (share > 0 && share < 0.0005) return "<0.1%";
  if (share < 1 && share >= 0.9995) return ">99.9%";
  return `${(100 * share).toFixed(1)}%`;
}

function formatCell(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
