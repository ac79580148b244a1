/** Building elements. Strings become text nodes, so that names from files and classes are inert. */

/** Return the element of the page with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Return a new element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
