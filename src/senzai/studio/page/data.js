// Data: what they are, types to correct, and the way to a trained model.

import { get, latest, path, post, remove } from "./api.js";
import { block, card, table } from "./blocks.js";
import { button, field, fill, h, memory, number, say, section, select } from "./dom.js";
import { go } from "./app.js";
import { training } from "./wishes.js";
import { t, told } from "./words.js";

const OWN = new Set(["schema", "seed", "in_memory", "key"]);

export async function view(place, { name }) {
  const state = { name, kind: null, options: {}, ...memory.get(`reading:${name}`, {}) };
  const [known, { uploads }] = await Promise.all([get("/about"), get("/data")]), about = { ...known, uploads };
  const body = h("div", { "aria-busy": "true" }, h("p", { class: "waiting" }, t("data.looking")));
  fill(place, h("div", { class: "head" }, h("h1", {}, name), h("p", { class: "lede", id: "lede" }, t("data.looking"))), body);

  const look = latest(async () => {
    body.setAttribute("aria-busy", "true");
    memory.set(`reading:${name}`, { kind: state.kind, options: state.options });
    try {
      const found = await post(`/data${path(name)}/look`, { kind: state.kind, options: state.options });
      fill(place.querySelector("#lede"), t("data.lede", { title: found.title.split(":")[0], lede: found.lede }));
      draw(body, found, state, about, look);
      say(t("data.lede", { title: found.title.split(":")[0], lede: found.lede }));
    } catch (error) {
      fill(body, h("p", { class: "empty", role: "alert" }, told(error)), h("p", {}, kinds(state, about, look), " ",
        button(t("data.reset"), () => { state.kind = null; state.options = {}; look(); })));
    }
    body.removeAttribute("aria-busy");
  });
  await look();
}

function kinds(state, about, look) {
  return select([["", t("data.detected")], ...about.kinds.map((k) => [k.name, `${k.name}: ${k.title.split(":")[0]}`])], state.kind ?? "", (kind) => {
    state.kind = kind || null;
    state.options = {};
    look();
  }, { id: "kind", "aria-label": t("data.kind") });
}

function draw(body, found, state, about, look) {
  const set = (key, value) => {
    if (value === "" || value === null) delete state.options[key];
    else state.options[key] = value;
    look();
  };
  const split = found.split ?? {};
  const facts = [[t("data.rows"), number(found.n_rows)], [t("data.kind"), kinds(state, about, look)],
    found.label && [t("data.label"), `${found.label.name}: ${found.label.classes.length}`],
    found.split && [t("data.split"), t("data.split.words", { train: number(split.train), validation: number(split.validation), test: number(split.test) })],
    [t("data.likelihood"), found.proposal.likelihood.name]].filter(Boolean);
  fill(body,
    section("what", t("data.what"), t("data.what.words"),
      h("table", {}, h("tbody", {}, facts.map(([k, v]) => h("tr", {}, h("th", { scope: "row" }, k), h("td", {}, v))))),
      h("details", {}, h("summary", {}, t("data.why")), h("ul", { class: "listing" }, [...found.reasons, found.proposal.reason].filter(Boolean).map((r) => h("li", {}, r)))),
      Object.keys(state.options).length > 0 && h("p", {}, button(t("data.reset"), () => { state.options = {}; look(); }))),
    found.entries.length > 0 && section("columns", t("data.columns"), t("data.columns.words"), columns(found, state, set)),
    section("rows", t("data.first"), t("data.first.words"), rows(found)),
    section("reading", t("data.reading"), t("data.reading.words"), h("details", { open: false }, h("summary", {}, t("data.reading.more")), options(found, state, set))),
    section("train", t("train.title"), [t("train.words"), t("train.words.safe")], training(found, state, about, go)),
    about.uploads.includes(state.name) && section("remove", t("data.remove"), t("data.remove.words"), h("p", {}, button(t("data.remove"), async () => {
      await remove(`/data${path(state.name)}`);
      go();
    }))));
}

function columns(found, state, set) {
  return h("div", { class: "wide" }, h("table", { class: "listed columns" }, h("thead", {}, h("tr", {},
    [t("column.name"), t("column.type"), t("column.missing"), t("column.reason")].map((x) => h("th", { scope: "col" }, x)))),
    h("tbody", {}, found.entries.map((e) => h("tr", {}, h("th", { scope: "row", title: e.name }, e.name),
      h("td", {}, select(e.types.map((x) => [x, t(`type.${x}`)]), e.type, (v) => set(e.setting, v), { "aria-label": t("column.type.of", { name: e.name }),
        class: e.setting in state.options ? "changed" : null })),
      h("td", { class: "num" }, e.missing ? number(e.missing) : ""), h("td", { class: "words" }, e.reason))))));
}

function rows(found) {
  if (found.grid) return table(found.grid);
  return h("div", { class: found.rows[0]?.kind === "wall" ? "wall of-rows" : "row-cards" }, found.rows.map((b, i) => (b.kind === "wall" ? block(b) : card(b, `${i}`))));
}

/** Controls for what a kind lets its user say, made from the description of its options. */
function options(found, state, set) {
  const known = Object.entries(found.options).filter(([key]) => !OWN.has(key));
  return h("div", { class: "fields" }, known.map(([key, about]) => {
    const types = about.anyOf ?? [about];
    const choices = types.flatMap((x) => x.enum ?? []);
    const truth = types.some((x) => x.type === "boolean");
    const shown = state.options[key] ?? "";
    const standard = about.default === null || about.default === undefined ? t("auto") : String(about.default);
    if (choices.length || truth) {
      const all = choices.length ? choices : ["true", "false"];
      return field(key, select([["", `${standard} (${t("standard")})`], ...all.map((c) => [c, c])], String(shown), (v) => set(key, truth && v ? v === "true" : v)));
    }
    return field(key, h("input", { type: "text", value: String(shown), placeholder: standard, onchange: (e) => set(key, worth(e.target.value)) }));
  }));
}

/** What somebody typed: a number where it is one, else text. */
export function worth(text) {
  const plain = text.trim();
  return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : plain;
}
