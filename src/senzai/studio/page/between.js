// The way from one row to another through the latent space.

import { get, latest, path, post } from "./api.js";
import { block, cell } from "./blocks.js";
import { button, field, fill, h, memory, say, section } from "./dom.js";
import { t, told } from "./words.js";

export async function view(place, { name }) {
  const base = `/runs${path(name)}`, { total } = await get(`${base}/rows?at=0`);
  const state = { a: 0, b: Math.min(1, total - 1), steps: 9, ...memory.get(`between:${name}`, {}) };
  const out = h("div", { id: "way", "aria-live": "polite" }), ends = h("div", { class: "pair" });
  const input = (key) => h("input", { type: "number", min: 0, max: total - 1, value: state[key], id: `row-${key}`, onchange: (e) => {
    state[key] = Math.min(Math.max(0, Math.round(Number(e.target.value) || 0)), total - 1);
    e.target.value = state[key];
    show();
  } });
  const inputs = { a: input("a"), b: input("b") };
  const steps = h("input", { type: "number", min: 3, max: 15, value: state.steps, id: "steps", onchange: (e) => {
    state.steps = Math.min(Math.max(3, Number(e.target.value) || 9), 15);
    show();
  } });
  fill(place, section("between", t("tab.between"), [t("between.words"), t("between.words.table")],
    h("div", { class: "row-of" }, field(t("between.a"), inputs.a), field(t("between.b"), inputs.b), field(t("between.steps"), steps),
      button(t("random"), () => {
        for (const key of ["a", "b"]) inputs[key].value = state[key] = Math.floor(Math.random() * total);
        show();
      }, { id: "random" })),
    ends, out));

  const show = latest(async () => {
    memory.set(`between:${name}`, state);
    out.setAttribute("aria-busy", "true");
    try {
      const [real, found] = await Promise.all([get(`${base}/rows?at=${state.a}&at=${state.b}`), post(`${base}/interpolate`, { a: state.a, b: state.b, steps: state.steps })]);
      const caption = (i) => `${t("row.n", { n: real.rows[i] })}${real.labels ? ` · ${real.labels[i] ?? t("missing")}` : ""}`;
      fill(ends, real.drawn.map((b, i) => h("figure", {}, h("figcaption", {}, caption(i)), block(b))));
      fill(out, found.grid ? changes(found.grid) : h("div", { class: "frames of-way", role: "list", "aria-label": t("tab.between") }, found.drawn.map((b) => h("div", { role: "listitem" }, block(b)))));
      say(t("between.done", { a: state.a, b: state.b }));
    } catch (error) {
      fill(out, h("p", { class: "empty", role: "alert" }, told(error)));
    }
    out.removeAttribute("aria-busy");
  });
  await show();
}

/** Columns down, steps across, tinted by how far a value is from the first; what stays comes last. */
function changes(grid) {
  const columns = grid.names.map((name, j) => {
    const values = grid.rows.map((r) => r[j]), numbers = values.filter((v) => typeof v === "number");
    const wide = numbers.length === values.length ? Math.max(...numbers) - Math.min(...numbers) : 0;
    const moved = values.map((v) => (wide ? (v - values[0]) / wide : v === values[0] ? 0 : 1));
    return { name: String(name), values, moved, changes: moved.some((m) => m !== 0) };
  }).sort((a, b) => b.changes - a.changes);
  const tint = (m) => (m ? { "--tint": `var(--${m > 0 ? "above" : "below"})`, "--much": `${Math.round(26 * Math.abs(m))}%` } : {});
  return h("figure", { class: "way" }, h("table", {}, h("thead", {}, h("tr", {}, h("td", {}), grid.rows.map((_, i) => h("th", { scope: "col" }, i === 0 ? "A" : i === grid.rows.length - 1 ? "B" : `${Math.round((100 * i) / (grid.rows.length - 1))} %`)))),
    h("tbody", {}, columns.map((c) => h("tr", { class: c.changes ? null : "still" }, h("th", { scope: "row", title: c.name }, c.name), c.values.map((v, i) => h("td", { style: tint(c.moved[i]) }, cell(v))))))));
}
