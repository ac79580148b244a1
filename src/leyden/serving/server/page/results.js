/** Cards of predictions. */

import { byId, element } from "./elements.js";

const LABELS = 5; // most probable labels that are shown, if fewer are predicted
const ROWS = 100; // rows of a file that are shown
const PROBABILITY = "probability of ";

/** A card that waits for the answer to one input. */
export class Card {
  /**
   * @param title What was given: the name of a file, or words.
   * @param file The file, if one was given; images and sounds are shown.
   * @param text The text, if one was given.
   */
  constructor({ title, file = null, text = null }) {
    this.title = title;
    this.text = text;
    this.url = file && URL.createObjectURL(file);
    this.body = element("div", { className: "answer" }, element("p", { className: "busy" }, "…"));
    this.element = element("li", { className: "card" });
    this.element.setAttribute("aria-busy", "true");
    const preview = file ? buildPreview(file, this.url) : [];
    this.element.append(element("h3", { dir: "auto" }, title), ...preview, this.body);
  }

  /** Show the answer of the server. */
  show({ predictions, model }, task) {
    const version = element("p", { className: "version" }, `${model.name}, version ${model.version}`);
    version.dir = "auto";
    if (predictions.length === 1) {
      const { headline, details } = (READINGS[task] ?? readUnknown)(predictions[0], this.text);
      this.#finish(`${this.title}: ${headline.textContent}`, headline, ...details, version);
    } else {
      const count = `${predictions.length} rows`;
      const headline = element("p", { className: "headline" }, count);
      this.#finish(`${this.title}: ${count}`, headline, ...buildTable(predictions), version);
    }
  }

  /** Show the message of an error. */
  fail(message) {
    this.element.classList.add("failed");
    this.#finish(`${this.title}: ${message}`, element("p", { className: "error" }, message));
  }

  /** Whether no other card is above it. */
  get isFirst() {
    return this.element.matches(":first-child");
  }

  /** Remove the card, and free its file. */
  remove() {
    this.element.remove();
    if (this.url) URL.revokeObjectURL(this.url);
  }

  #finish(announced, ...content) {
    this.body.replaceChildren(...content);
    this.element.removeAttribute("aria-busy");
    byId("status").textContent = announced;
  }
}

/** The headline and details of one prediction, by the task of the network. */
const READINGS = {
  classification({ class: name, probability, top = [{ class: name, probability }] }) {
    const bars = top.map((each) => [each.class, each.probability, each.class === name]);
    return { headline: buildHeadline(name, formatShare(probability)), details: [buildBars(bars)] };
  },
  multilabel({ labels, ...columns }) {
    const chosen = new Set(labels.split(";").filter(Boolean));
    const bars = Object.entries(columns)
      .filter(([column]) => column.startsWith(PROBABILITY))
      .map(([column, share]) => [column.slice(PROBABILITY.length), share])
      .map(([name, share]) => [name, share, chosen.has(name)])
      .sort(([, first], [, second]) => second - first)
      .slice(0, Math.max(LABELS, chosen.size));
    return { headline: buildHeadline([...chosen].join(", ") || "no label"), details: [buildBars(bars)] };
  },
  regression({ value }) {
    return { headline: buildHeadline(formatNumber(value)), details: [] };
  },
  ctc({ transcript }) {
    return { headline: buildProse(transcript || "(no words)"), details: [] };
  },
  language_modelling({ text }, given) {
    const begun = given?.trim() ?? "";
    const continues = text.startsWith(begun);
    const rest = element("mark", {}, continues ? text.slice(begun.length) : text);
    return { headline: buildProse(continues ? begun : "", rest), details: [] };
  },
};

function readUnknown(prediction) {
  const facts = Object.entries(prediction).filter(([name]) => name !== "file");
  const words = facts.map(([name, value]) => `${name}: ${formatCell(value)}`).join("\n");
  return { headline: buildProse(words), details: [] };
}

function buildHeadline(name, share = "") {
  const answer = element("p", { className: "headline" }, element("bdi", {}, name));
  if (share) answer.append(" ", element("span", { className: "share" }, share));
  return answer;
}

function buildProse(...content) {
  return element("p", { className: "prose", dir: "auto" }, ...content);
}

/** Build a list of [name, share from 0 to 1, whether it is predicted]. */
function buildBars(bars) {
  const items = bars.map(([name, share, predicted]) => {
    const bar = element("span", { className: "bar" });
    bar.style.setProperty("--share", share);
    const words = [element("bdi", {}, name), element("span", { className: "share" }, formatShare(share))];
    return element("li", { className: predicted ? "predicted" : "" }, ...words, bar);
  });
  return element("ol", { className: "bars" }, ...items);
}

function buildTable(predictions) {
  const columns = Object.keys(predictions[0]).filter((name) => name !== "file" && name !== "top");
  const kinds = columns.map((name) => typeof predictions[0][name]); // the classes of the cells
  const head = columns.map((name, i) =>
    element("th", { scope: "col", className: kinds[i], dir: "auto" }, name),
  );
  const rows = predictions.slice(0, ROWS).map((prediction, index) => {
    const cells = columns.map((name, i) =>
      element("td", { className: kinds[i], dir: "auto" }, formatCell(prediction[name])),
    );
    return element("tr", {}, element("th", { scope: "row" }, String(index + 1)), ...cells);
  });
  const table = element(
    "table", {},
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "row"), ...head)),
    element("tbody", {}, ...rows),
  );
  const more = predictions.length > ROWS ? [`The first ${ROWS} rows are shown.`] : [];
  return [
    element("div", { className: "scroll", tabIndex: 0 }, table),
    ...more.map((words) => element("p", { className: "hint" }, words)),
  ];
}

function buildPreview(file, url) {
  if (file.type.startsWith("image/")) {
    const image = element("img", { src: url, alt: "", decoding: "async" });
    image.onerror = () => image.remove(); // a format that the browser does not show
    return [image];
  }
  if (!file.type.startsWith("audio/")) return [];
  const player = element("audio", { src: url, controls: true, preload: "metadata" });
  player.onerror = () => player.remove();
  return [player];
}

function formatShare(share) {
  if (share > 0 && share < 0.0005) return "<0.1%";
  if (share < 1 && share >= 0.9995) return ">99.9%";
  return `${(100 * share).toFixed(1)}%`;
}

/** Write a number in full, without separators. */
export function formatNumber(value) {
  return value.toLocaleString("en", { useGrouping: false, maximumSignificantDigits: 17 });
}

function formatCell(value) {
  if (typeof value === "number") return formatNumber(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
