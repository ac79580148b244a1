/** Cards, each with an input and what was predicted for it. */

import { byId, element } from "./elements.js";
import { buildPrediction, buildTable } from "./predictions.js";

/** A card that waits for the answer to one input. */
export class Card {
  /**
   * @param title What was given: the name of a file, or words.
   * @param file The file, if one was given; images and sounds are shown.
   * @param text The text, if one was typed.
   */
  constructor({ title, file = null, text = null }) {
    this.title = title;
    this.text = text;
    this.url = file && URL.createObjectURL(file);
    this.body = element("div", { className: "answer" }, element("p", { className: "busy" }, "…"));
    this.element = element(
      "li",
      { className: "card", ariaBusy: "true" },
      element("h3", { dir: "auto" }, title),
      ...buildPreview(file, this.url),
      this.body,
    );
  }

  /** Show the answer of the server.
   *
   * @param described The description of the network.
   */
  show({ predictions, model }, { task, unit }) {
    const version = `${model.name}, version ${model.version}`;
    const [headline, ...details] =
      predictions.length === 1
        ? buildPrediction(predictions[0], { task, unit, given: this.text })
        : buildTable(predictions);
    this.#finish(
      headline,
      ...details,
      element("p", { className: "version", dir: "auto" }, version),
    );
  }

  /** Show the message of an error. */
  fail(message) {
    this.element.classList.add("failed");
    this.#finish(element("p", { className: "error" }, message));
  }

  /** Remove the card, and free its file. */
  remove() {
    this.element.remove();
    if (this.url) URL.revokeObjectURL(this.url);
  }

  #finish(headline, ...details) {
    this.body.replaceChildren(headline, ...details);
    this.element.ariaBusy = null;
    byId("status").textContent = `${this.title}: ${headline.textContent}`;
    const isNewest = this.element.matches(":first-child");
    if (isNewest) this.element.scrollIntoView({ block: "nearest" }); // below the form on phones
  }
}

function buildPreview(file, url) {
  const [kind] = file?.type.split("/") ?? [];
  if (kind === "image") return [removedIfBroken("img", { src: url, alt: "", decoding: "async" })];
  if (kind === "audio") return [removedIfBroken("audio", { src: url, controls: true })];
  return [];
}

/** Return an element that is removed if the browser does not know the format of its file. */
function removedIfBroken(tag, properties) {
  const preview = element(tag, properties);
  preview.onerror = () => preview.remove();
  return preview;
}
