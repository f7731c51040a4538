// Rows as their kind draws them: the blocks of a report, laid out here from plain values.

import { h } from "./dom.js";
import { chart } from "./curves.js";

const LAID = {
  wall: (b) => h("div", { class: `wall${b.pixelated ? " pixelated" : ""}` }, b.pictures.map(picture)),
  table: (b) => h("table", { class: "record" }, h("tbody", {}, b.rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value))))),
  charts: (b) => h("div", {}, b.charts.map((c) => drawing(c))),
  listing: (b) => h("ul", { class: "listing" }, b.items.map((i) => h("li", {}, i))),
  code: (b) => h("pre", {}, h("code", {}, b.text)),
  cards: (b) => h("div", { class: "cards" }, b.cards.map((c) => h("figure", {}, c.title && h("figcaption", {}, c.title), c.blocks.map(block)))),
  pairs: (b) => h("div", { class: `wall${b.pixelated ? " pixelated" : ""}` }, b.pairs.flat().map(picture)),
  strips: (b) => h("div", { class: `frames${b.pixelated ? " pixelated" : ""}` }, b.strips.flatMap((s) => s.pictures).map(picture)),
  empty: (b) => h("p", { class: "empty" }, b.text),
};

/** One block; of a kind that is not known here, nothing is guessed. */
export function block(b) {
  return LAID[b.kind] ? LAID[b.kind](b) : h("p", { class: "empty" }, b.text ?? "");
}

function picture(p) {
  return h("img", { src: p.src.startsWith("data:image/") ? p.src : "", alt: p.caption || p.says, decoding: "async" });
}

/** The lines of a chart of a report. */
function drawing(c) {
  const lines = (c.figure?.data ?? []).filter((d) => Array.isArray(d.y)).map((d) => ({
    name: d.name ?? "", points: d.y.map((y, i) => [d.x?.[i] ?? i, y]), colour: d.line?.color ?? "var(--model)" }));
  return chart(lines, { width: 360, height: 120, says: c.says, plain: true });
}

/** A row in a frame with a caption: what lists and walls of rows are made of. */
export function card(b, caption, note = "", more = {}) {
  return h("figure", { class: `row-card ${b.kind}`, ...more }, block(b), caption && h("figcaption", {}, h("b", {}, caption), note && h("small", {}, note)));
}

/** A table of values; `marks(i, j)` says how a cell is to be seen. */
export function table(grid, { numbers = null, marks = () => "", caption = "" } = {}) {
  const head = [numbers && h("th", { scope: "col" }, "#"), ...grid.names.map((n, j) => h("th", { scope: "col", class: grid.rows.some((r) => typeof r[j] === "number") ? "num" : null }, String(n)))];
  return h("div", { class: "wide" }, h("table", { class: "grid" }, caption && h("caption", {}, caption), h("thead", {}, h("tr", {}, head)),
    h("tbody", {}, grid.rows.map((row, i) => h("tr", {}, numbers && h("th", { scope: "row" }, String(numbers[i])),
      row.map((v, j) => h("td", { class: [typeof v === "number" ? "num" : "", v === null ? "hole" : "", marks(i, j)].join(" ").trim() || null }, cell(v))))))));
}

/** One value as the user has it. */
export function cell(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return String(Math.abs(value) >= 1e6 || Number.isInteger(value) ? value : Number(value.toPrecision(5))).replace("-", "−");
  return String(value);
}
