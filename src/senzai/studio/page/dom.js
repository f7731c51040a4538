// Elements made from values. Text is always text: nothing that the data say is read as markup.

const SVG = "http://www.w3.org/2000/svg";
const NAMED = new Set(["svg", "path", "line", "g", "text", "rect", "circle", "polyline", "title"]);

/** Make an element: properties by name (`on…` listeners, `style` an object, others attributes), then children. */
export function h(tag, properties = {}, ...children) {
  const svg = NAMED.has(tag) && properties.svg !== false;
  const made = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false || name === "svg") continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) made.style.setProperty(k, v);
    else if (name === "value" && "value" in made) made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(3).filter((c) => c !== undefined && c !== null && c !== false));
  return made;
}

/** A section as reports have it: what it is on the left, what there is to see and do on the right. */
export function section(id, title, words, ...body) {
  return h("section", { id, "aria-labelledby": `${id}-title` },
    h("div", { class: "rail" }, h("h2", { id: `${id}-title` }, title), [words].flat().filter(Boolean).map((w) => h("p", {}, w))),
    h("div", { class: "body" }, ...body));
}

/** A labelled control. */
export function field(label, control, note = "") {
  const named = control.matches("input, select") ? control : control.querySelector("input, select") ?? control;
  const id = named.id || `f${(field.n = (field.n ?? 0) + 1)}`;
  named.id = id;
  return h("div", { class: "field" }, h("label", { for: id }, label), control, note && h("small", {}, note));
}

export function select(options, chosen, onchange, more = {}) {
  const made = h("select", { onchange: (e) => onchange(e.target.value), ...more },
    options.map(([value, text]) => h("option", { value, selected: String(value) === String(chosen) }, text)));
  return made;
}

export function button(text, onclick, more = {}) {
  return h("button", { type: "button", onclick, ...more }, text);
}

/** Say something to people who do not see the page. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((c) => c !== undefined && c !== null && c !== false));
  return element;
}

/** A number as people read it: no more digits than help, a real minus sign. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(digits - 1)
    : Number.isInteger(value) ? value.toLocaleString("en-US").replaceAll(",", "\u202f")
    : size >= 1000 ? Math.round(value).toLocaleString("en-US").replaceAll(",", "\u202f") : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

/** Ask before something is done that cannot be undone; resolves to whether to go on. */
export function wait(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/** Keep a small thing in this browser, so that a closed tab loses nothing. */
export const memory = {
  get(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`senzai:${key}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`senzai:${key}`, JSON.stringify(value));
    } catch {
      /* private windows keep nothing */
    }
  },
};
