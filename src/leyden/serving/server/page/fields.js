/** The fields of one row, built from its JSON Schema. */

import { element } from "./elements.js";

const WORDS = { "": "", true: "yes", false: "no" }; // of choices

/** Return what a row of this schema is: an image, audio, a text, or a row of a table. */
export function kindOfRow(schema) {
  const [property] = Object.values(schema.properties);
  if (property?.contentMediaType) return property.contentMediaType.split("/")[0];
  return property?.type === "string" ? "text" : "table";
}

/** The fields that a row is typed into. */
export class Fields {
  constructor(schema) {
    this.controls = new Map(); // by name of the property
    this.elements = Object.entries(schema.properties).map(([name, property], index) => {
      const control = buildControl(property);
      control.id = `field-${index}`;
      this.controls.set(name, control);
      return buildField(name, property, control);
    });
  }

  /** The typed row, in which an empty field is null. */
  get row() {
    // A column may be called __proto__, which fromEntries takes for an ordinary name.
    return Object.fromEntries([...this.controls].map(([name, control]) => [name, read(control)]));
  }

  set row(values) {
    const known = new Map(Object.entries(values));
    for (const [name, control] of this.controls) control.value = known.get(name) ?? "";
  }
}

function buildField(name, property, control) {
  const label = element("label", { htmlFor: control.id, dir: "auto" }, name);
  const field = element("div", { className: "field" }, label, control);
  if (control.tagName === "TEXTAREA") label.className = "visually-hidden"; // the heading says it
  if (property.examples) field.append(buildKnown(control, property.examples));
  else if (control.type.startsWith("text")) field.append(buildHint(control, property.description));
  return field;
}

function buildControl({ type, examples = [] }) {
  const types = [type].flat();
  if (!types.includes("null")) return element("textarea", { dir: "auto" });
  if (types.includes("string")) {
    const placeholder = examples.slice(0, 3).join(", ");
    return element("input", { autocomplete: "off", dir: "auto", placeholder });
  }
  if (types.includes("number")) return element("input", { type: "number", step: "any" });
  const options = ["", true, false].map((value) => element("option", { value }, WORDS[value]));
  return element("select", {}, ...options);
}

/** Build the list of known values, which a field offers while one is typed. */
function buildKnown(control, examples) {
  const options = examples.map((value) => element("option", { value }));
  const known = element("datalist", { id: `${control.id}-known` }, ...options);
  control.setAttribute("list", known.id);
  return known;
}

function buildHint(control, words = "") {
  const hint = element("p", { className: "hint", id: `${control.id}-hint` }, words);
  control.setAttribute("aria-describedby", hint.id);
  return hint;
}

function read(control) {
  if (control.tagName === "TEXTAREA") return control.value;
  if (control.value === "") return null;
  if (control.tagName === "SELECT") return control.value === "true";
  return control.type === "number" ? control.valueAsNumber : control.value;
}
