/** The fields of one row, built from its JSON Schema. */

import { element } from "./elements.js";

const INPUT_TYPES = { date: "date", "date-time": "datetime-local" };

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
    for (const [name, control] of this.controls) write(control, values[name] ?? null);
  }
}

function buildField(name, property, control) {
  const label = element("label", { htmlFor: control.id, dir: "auto" }, name);
  const field = element("div", { className: "field" }, label, control);
  if (control.tagName === "TEXTAREA") label.className = "visually-hidden"; // the heading says it
  if (property.examples && control.tagName === "INPUT" && control.type === "text") {
    const options = property.examples.map((value) => element("option", { value }));
    field.append(element("datalist", { id: `${control.id}-known` }, ...options));
    control.setAttribute("list", `${control.id}-known`);
  }
  if (property.description) {
    const hint = element("p", { className: "hint", id: `${control.id}-hint` }, property.description);
    control.setAttribute("aria-describedby", hint.id);
    field.append(hint);
  }
  return field;
}

function buildControl(property) {
  const types = [property.type].flat();
  if (types.includes("boolean")) return buildChoice([true, false]);
  if (property.enum) return buildChoice(property.enum.filter((value) => value !== null));
  if (types.includes("number")) return element("input", { type: "number", step: "any" });
  if (!types.includes("null")) return element("textarea", { rows: 6, dir: "auto" });
  const type = INPUT_TYPES[property.format] ?? "text";
  return element("input", { type, autocomplete: "off", dir: "auto" });
}

function buildChoice(values) {
  const words = { true: "yes", false: "no" };
  const options = values.map((value) =>
    element("option", { value: JSON.stringify(value) }, words[value] ?? String(value)),
  );
  return element("select", {}, element("option", { value: "" }, "–"), ...options);
}

function read(control) {
  if (control.tagName === "TEXTAREA") return control.value;
  if (control.value === "") return null;
  if (control.tagName === "SELECT") return JSON.parse(control.value);
  return control.type === "number" ? control.valueAsNumber : control.value;
}

function write(control, value) {
  if (control.tagName === "SELECT") control.value = value === null ? "" : JSON.stringify(value);
  else control.value = value ?? "";
}
