// A table that one can edit: empty cells are holes, and the model fills them.

import { get, path, post } from "./api.js";
import { button, fill, h, memory, number, say, section } from "./dom.js";
import { worth } from "./data.js";
import { t, told } from "./words.js";

export async function view(place, { name }) {
  const base = `/runs${path(name)}`;
  const state = memory.get(`holes:${name}`, null) ?? { grid: null, filled: {}, start: 0 };
  const sheet = h("div"), words = h("p", { class: "words", role: "status" });
  const keep = () => memory.set(`holes:${name}`, state);

  async function load(start = 0) {
    const found = await get(`${base}/grid?start=${start}&n=12`);
    if (!found.grid) return fill(sheet, h("p", { class: "empty" }, t("fill.none")));
    Object.assign(state, { grid: found.grid, filled: {}, start, numbers: found.rows, holes: found.holes });
    keep();
    return draw();
  }

  function draw() {
    const { grid, filled } = state;
    fill(sheet, h("div", { class: "wide" }, h("table", { class: "grid edit" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "#"), grid.names.map((n) => h("th", { scope: "col" }, String(n))))),
      h("tbody", {}, grid.rows.map((row, i) => h("tr", {}, h("th", { scope: "row" }, String(state.numbers?.[i] ?? t("fill.new"))),
        row.map((value, j) => h("td", {}, input(i, j, value, filled[`${i},${j}`])))))))));
  }

  function input(i, j, value, made) {
    const label = t("fill.cell", { name: state.grid.names[j], row: i + 1 });
    return h("input", { type: "text", value: shown(value), placeholder: made === undefined ? t("missing") : shown(made), class: value === null ? (made === undefined ? "hole" : "filled") : null, "aria-label": made === undefined ? label : `${label}: ${made}`,
      "data-cell": `${i},${j}`, onchange: (e) => {
        state.grid.rows[i][j] = typed(e.target.value, j);
        state.filled = {};
        keep();
        draw();
        focusOn(i, j);
      }, onkeydown: (e) => {
        const way = { ArrowDown: 1, ArrowUp: -1, Enter: 1 }[e.key];
        if (way) {
          e.preventDefault();
          e.target.blur();
          focusOn(i + way, j);
        }
      } });
  }

  const focusOn = (i, j) => sheet.querySelector(`[data-cell="${i},${j}"]`)?.focus();

  /** A value of the sort that the column has in other rows. */
  function typed(text, j) {
    if (text.trim() === "") return null;
    const other = state.grid.rows.map((r) => r[j]).find((v) => v !== null);
    if (typeof other === "boolean" && /^(true|false)$/i.test(text.trim())) return text.trim().toLowerCase() === "true";
    return typeof other === "string" ? text : worth(text);
  }

  async function fillIn() {
    go.disabled = true;
    fill(words, t("fill.working"));
    try {
      const found = await post(`${base}/impute`, { ...state.grid, seed: 0 });
      state.filled = {};
      state.grid.rows.forEach((row, i) => row.forEach((v, j) => v === null && (state.filled[`${i},${j}`] = found.grid.rows[i][j])));
      keep();
      draw();
      const n = Object.keys(state.filled).length;
      fill(words, t("fill.done", { n: number(n) }));
      say(t("fill.done", { n: number(n) }));
    } catch (error) {
      fill(words, h("span", { class: "warn", role: "alert" }, told(error)));
    }
    go.disabled = false;
  }

  const go = button(t("fill.go"), fillIn, { class: "main", id: "fill-in" });
  fill(place, section("fill", t("tab.fill"), [t("fill.words"), t("fill.words.keys")],
    h("div", { class: "row-of" }, go,
      button(t("fill.next"), () => load((state.start + 12) % Math.max(1, state.holes ?? 12)), { id: "next" }),
      button(t("fill.add"), () => { state.grid.rows.push(state.grid.names.map(() => null)); state.numbers = [...(state.numbers ?? []), null]; keep(); draw(); focusOn(state.grid.rows.length - 1, 0); }, { id: "add" }),
      button(t("fill.take"), () => { for (const [at, v] of Object.entries(state.filled)) { const [i, j] = at.split(","); state.grid.rows[i][j] = v; } state.filled = {}; keep(); draw(); }, { id: "take" }),
      button(t("fill.save"), () => save(state, name), { id: "save" })), words, sheet));
  if (state.grid) draw();
  else await load();
}

/** A value to be edited: numbers without the digits that nobody reads. */
function shown(value) {
  if (value === null) return "";
  return typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value);
}

/** The table with what was filled in, as CSV. */
function save({ grid, filled }, name) {
  const quoted = (v) => (v === null || v === undefined ? "" : /[",\n]/.test(String(v)) ? `"${String(v).replaceAll('"', '""')}"` : String(v));
  const lines = [grid.names, ...grid.rows.map((row, i) => row.map((v, j) => v ?? filled[`${i},${j}`]))].map((r) => r.map(quoted).join(","));
  const link = h("a", { href: URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" })), download: `${name}-filled.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
