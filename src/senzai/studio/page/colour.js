// What points are coloured by: a byte for each, and what each byte means; the same colours as in a report.

import { packed } from "./cloud.js";
import { h } from "./dom.js";
import { t } from "./words.js";

const MISSING = 255;

export function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function mix(a, b, share) {
  const [x, y] = [a, b].map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  return `rgb(${x.map((v, i) => Math.round(v + (y[i] - v) * share)).join(",")})`;
}

/** Colours of the levels of a colouring. */
export function shades({ at, colours }) {
  if (colours.length) return colours.map((c) => colourOf(c.slice(4, -1)));
  const [low, middle, high] = ["--low", "--middle", "--high"].map(colourOf);
  return at.map((v) => (v < 0.5 ? mix(low, middle, 2 * v) : mix(middle, high, 2 * v - 1)));
}

/** Give a cloud the colours of a colouring. */
export function paint(cloud, colouring, codes) {
  const found = shades(colouring);
  cloud.palette.fill(packed(colourOf("--c-rest")));
  found.forEach((c, i) => (cloud.palette[i] = packed(c)));
  cloud.strength.fill(255);
  cloud.strength[MISSING] = 110;
  cloud.shade = codes;
}

export function bytesOf(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** What the colours mean: a key of levels, or a ramp with its ends. */
export function key(colouring, codes) {
  const one = (colour, text) => h("span", {}, h("i", { style: { background: colour } }), text);
  const found = shades(colouring), none = colourOf("--c-rest");
  const told = colouring.colours.length ? colouring.texts.map((text, i) => one(found[i], text))
    : [h("span", {}, colouring.ends[0]), h("i", { class: "ramp", style: { background: `linear-gradient(to right, ${["--low", "--middle", "--high"].map(colourOf).join(",")})` } }), h("span", {}, colouring.ends[1])];
  if (codes.includes(MISSING)) told.push(one(none, t("missing")));
  return told;
}

export function valueOf(colouring, code) {
  return code === MISSING ? t("missing") : colouring.texts[code];
}
