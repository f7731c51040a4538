// What to train and for how long: the form between data and a run.

import { get, latest, path, post } from "./api.js";
import { button, field, fill, h, memory, say, select } from "./dom.js";
import { t, told } from "./words.js";

const TRAINING = { batch_size: "auto", lr: "auto", optimiser: "adamw", schedule: "auto", patience: "auto", seed: 0, validate_every: "auto" };

export function training(found, state, about, go) {
  const kept = memory.get(`wish:${state.name}`, {});
  const wish = { name: state.name.replace(/\.\w{1,8}$/, ""), recipe: "", length: "auto", settings: {}, ...kept };
  const keep = () => memory.set(`wish:${state.name}`, wish);
  const families = Object.entries(about.recipes);
  const recipe = h("select", { id: "recipe", onchange: (e) => { wish.recipe = e.target.value; wish.settings = {}; keep(); more(); } },
    h("option", { value: "" }, t("train.proposed", { recipe: found.proposal.recipe ?? "vae" })),
    families.map(([family, members]) => h("optgroup", { label: family }, members.map((r) => h("option", { value: r.name, selected: r.name === wish.recipe }, `${r.name} · ${r.title}`)))));
  const name = h("input", { type: "text", id: "run-name", value: wish.name, required: true, onchange: (e) => { wish.name = e.target.value.trim(); keep(); } });
  const length = select([["auto", t("train.auto")], ["steps:300", t("train.try")], ["steps:2000", t("train.short")], ["steps:20000", t("train.long")]],
    wish.length, (v) => { wish.length = v; keep(); }, { id: "length" });
  const words = h("p", { class: "words", role: "status" });
  const extra = h("div", { class: "fields" });
  const start = button(t("train.start"), begin, { class: "main", id: "start" });

  const more = latest(async () => {
    fill(extra, h("p", { class: "waiting" }, "…"));
    try {
      const about = await get(`/recipes${path(wish.recipe || found.proposal.recipe || "vae")}`);
      const all = { ...about.settings, ...TRAINING };
      fill(extra, h("p", { class: "words wide-field" }, about.title, about.paper && `. ${about.paper}`), Object.entries(all).map(([key, value]) =>
        field(key, h("input", { type: "text", value: wish.settings[key] ?? "", placeholder: shown(value), onchange: (e) => {
          if (e.target.value.trim()) wish.settings[key] = read(e.target.value);
          else delete wish.settings[key];
          keep();
        } }))));
    } catch (error) {
      fill(extra, h("p", { class: "empty" }, told(error)));
    }
  });

  async function begin() {
    start.disabled = true;
    fill(words, t("train.starting"));
    const [what, n] = wish.length.split(":");
    const settings = { ...wish.settings, ...(n ? { [what]: Number(n) } : {}) };
    try {
      const { run } = await post("/runs", { data: state.name, name: wish.name || "run", recipe: wish.recipe || null, kind: state.kind, options: state.options, settings });
      say(t("train.starting"));
      if (start.isConnected) go("run", run, "training"); // not where somebody has gone on to look at something else
    } catch (error) {
      fill(words, h("span", { class: "warn", role: "alert" }, told(error)));
      start.disabled = false;
    }
  }

  const details = h("details", { ontoggle: (e) => e.target.open && !extra.childElementCount && more() }, h("summary", {}, t("train.more")), extra);
  return h("div", {}, h("div", { class: "fields" }, field(t("train.name"), name), field(t("run.recipe"), recipe), field(t("train.length"), length)),
    details, h("p", {}, start), words);
}

const shown = (value) => (value === null ? t("auto") : Array.isArray(value) ? value.join(", ") : String(value));

/** A setting as it is meant: a number, a truth, a list of numbers, or a word. */
export function read(text) {
  const plain = text.trim();
  if (plain === "true" || plain === "false") return plain === "true";
  if (/^[-+\d.,e\s]+$/i.test(plain) && plain.includes(",")) return plain.split(",").map(Number);
  return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : plain;
}
