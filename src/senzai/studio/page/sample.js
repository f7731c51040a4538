// New rows, freely or with something given.

import { get, keep, latest, path, post } from "./api.js";
import { block, card, table } from "./blocks.js";
import { button, field, fill, h, memory, number, say, section, select } from "./dom.js";
import { worth } from "./data.js";
import { t, told } from "./words.js";

export async function view(place, { name }) {
  const base = `/runs${path(name)}`, about = await get(`${base}/given`);
  const state = { n: 24, seed: 1, temperature: 1, given: {}, ...memory.get(`sample:${name}`, {}) };
  const out = h("div", { id: "made", "aria-live": "polite" }), words = h("p", { class: "words", role: "status" }), givens = h("div", { class: "fields" });
  const seed = h("input", { type: "number", min: 0, value: state.seed, id: "seed", onchange: (e) => { state.seed = Math.max(0, Number(e.target.value) || 0); show(); } });
  const shown = h("output", {}, number(state.temperature, 3));
  const temperature = h("input", { type: "range", min: 0.2, max: 1.6, step: 0.05, value: state.temperature, id: "temperature", oninput: (e) => {
    state.temperature = Number(e.target.value);
    fill(shown, number(state.temperature, 3));
  }, onchange: () => show() });
  const count = select([6, 12, 24, 48, 96].map((n) => [n, n]), state.n, (n) => { state.n = Number(n); show(); }, { id: "n" });

  function conditions() {
    const set = (key, value) => {
      if (value === "" || value === null) delete state.given[key];
      else state.given[key] = value;
      show();
    };
    const chosen = Object.entries(about.conditions).map(([key, values]) => field(key, select([["", t("sample.any")], ...values.map((v, i) => [i, String(v)])], values.findIndex((v) => v === state.given[key]), (i) => set(key, i === "" ? "" : values[i]), { "data-given": key })));
    const free = Object.keys(state.given).filter((k) => about.features.includes(k)).map((key) => field(key, h("div", { class: "with" }, h("input", { type: "text", value: state.given[key] ?? "", "data-given": key, onchange: (e) => set(key, worth(e.target.value)) }), button("×", () => { delete state.given[key]; conditions(); show(); }, { class: "round", "aria-label": t("sample.drop", { name: key }) }))));
    const rest = about.features.filter((f) => !(f in state.given));
    const more = rest.length > 0 && field(t("sample.give"), select([["", "…"], ...rest.map((f) => [f, f])], "", (f) => { state.given[f] = ""; conditions(); givens.querySelector(`[data-given="${CSS.escape(f)}"]`)?.focus(); }, { id: "give" }));
    fill(givens, chosen, free, more);
  }

  const wanted = () => ({ n: state.n, seed: state.seed, temperature: state.temperature, given: Object.fromEntries(Object.entries(state.given).filter(([, v]) => v !== "")) });
  const show = latest(async () => {
    memory.set(`sample:${name}`, state);
    out.setAttribute("aria-busy", "true");
    try {
      const found = await post(`${base}/sample`, wanted());
      const wall = found.drawn[0]?.kind === "wall";
      fill(out, found.grid ? table(found.grid) : h("div", { class: wall ? "wall of-rows" : "row-cards" }, found.drawn.map((b) => (wall ? block(b) : card(b, "")))));
      fill(words, found.ess ? t("sample.ess", { n: number(found.ess, 3) }) : "");
      say(t("sample.done", { n: state.n }));
    } catch (error) {
      fill(out, h("p", { class: "empty", role: "alert" }, told(error)));
    }
    out.removeAttribute("aria-busy");
  });
  const many = h("input", { type: "number", min: 1, max: 10000, value: 1000, id: "many" });
  fill(place, section("sample", t("tab.sample"), [t("sample.words"), t("sample.words.temperature"), about.samplers.why],
    h("div", { class: "row-of" }, field(t("sample.n"), count), field(t("sample.seed"), seed), field(t("sample.temperature"), h("span", { class: "with" }, temperature, shown)),
      button(t("sample.new"), () => { seed.value = state.seed = state.seed + 1; show(); }, { class: "main", id: "again" })),
    (Object.keys(about.conditions).length > 0 || about.features.length > 0) && h("div", {}, h("h3", {}, t("sample.given")), givens),
    out, words,
    h("div", { class: "row-of" }, field(t("sample.many"), many), button(t("export"), async (e) => {
      e.target.disabled = true;
      try {
        const { file } = await post(`${base}/sample`, { ...wanted(), n: Number(many.value) || 1, export: true });
        keep(file);
        fill(words, t("exported", { file }));
      } catch (error) {
        fill(words, told(error));
      }
      e.target.disabled = false;
    }, { id: "export" }))));
  conditions();
  await show();
}
