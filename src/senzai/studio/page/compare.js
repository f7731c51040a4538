// Two runs side by side: what differs, how they learned, what they make, and which is better on the same rows.

import { get, path, post } from "./api.js";
import { block, table } from "./blocks.js";
import { chart } from "./curves.js";
import { fill, field, h, number, section, select, button } from "./dom.js";
import { go } from "./app.js";
import { values, watched } from "./diagnosis.js";
import { t, told } from "./words.js";

export async function view(place, { name, about, more }) {
  const { runs } = await get("/runs"), others = runs.filter((r) => r.state === "finished" && r.name !== name);
  const other = more?.[0] && others.some((r) => r.name === more[0]) ? more[0] : null;
  const choose = field(t("compare.with"), select([["", t("compare.choose")], ...others.map((r) => [r.name, r.name])], other ?? "", (v) => v && go("run", name, "compare", v), { id: "other" }));
  const work = { ended: false };
  if (!other) {
    fill(place, section("compare", t("tab.compare"), t("compare.words"), others.length ? choose : h("p", { class: "empty" }, t("compare.none"))));
    return () => {};
  }
  const second = await get(`/runs${path(other)}`), both = [about, second];
  const verdict = h("div", { id: "verdict", "aria-live": "polite" }), made = h("div", { class: "side-by-side" }), lines = h("div");
  fill(place,
    section("compare", t("tab.compare"), [t("compare.words"), t("compare.words.test")], h("div", { class: "row-of" }, choose, button(t("compare.go"), judge, { class: "main", id: "judge" })), verdict, differences(both)),
    section("curves", t("training.curves"), t("training.nats"), lines),
    section("samples", t("tab.sample"), t("compare.samples"), made));

  async function judge() {
    try {
      const { job } = await post("/compare", { a: name, b: other });
      const done = await watched(job, verdict, work);
      if (done) fill(verdict, said(done.answer, [name, other]));
    } catch (error) {
      fill(verdict, h("p", { class: "warn", role: "alert" }, told(error)));
    }
  }

  const histories = await Promise.all(both.map((r) => get(`/runs${path(r.name)}/history`)));
  const of = (h_, key) => h_.lines.filter((l) => l.kind === "validation" && Number.isFinite(l[key])).map((l) => [l.step, l[key]]);
  const figure = (key) => h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, t(`curve.${key}`))), chart(both.map((r, i) => ({ name: r.name.slice(0, 14), points: of(histories[i], key), colour: `var(--c${[0, 2][i]})` })), { says: t(`curve.${key}`), xname: t("curve.step"), robust: true }));
  fill(lines, ["loss", "distortion", "rate"].filter((k) => histories.some((x) => of(x, k).length)).map(figure));
  fill(made, await Promise.all(both.map(async (r, i) => h("div", {}, h("h3", {}, h("i", { class: "dot", style: { background: `var(--c${[0, 2][i]})` } }), r.name), await rows(r.name)))));
  return () => (work.ended = true);
}

async function rows(name) {
  try {
    const found = await post(`/runs${path(name)}/sample`, { n: 12, seed: 1 });
    return found.grid ? table(found.grid) : h("div", { class: found.drawn[0]?.kind === "wall" ? "wall of-rows" : "row-cards" }, found.drawn.map((b) => block(b)));
  } catch (error) {
    return h("p", { class: "empty" }, told(error));
  }
}

/** What two runs do not have in common. */
function differences([a, b]) {
  const facts = (r) => ({ [t("run.recipe")]: r.recipe, [t("run.data")]: r.source, [t("training.parameters")]: r.parameters, [t("run.elbo")]: r.fit?.validation_elbo, ...r.settings, steps: r.fit?.steps });
  const [x, y] = [facts(a), facts(b)], one = (v) => (typeof v === "number" ? number(v) : v === undefined || v === null ? "–" : String(v));
  const keys = [...new Set([...Object.keys(x), ...Object.keys(y)])].sort((k, l) => (one(x[k]) === one(y[k])) - (one(x[l]) === one(y[l])));
  return h("div", { class: "wide" }, h("table", { class: "listed", id: "differences" }, h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, a.name), h("th", { scope: "col" }, b.name))),
    h("tbody", {}, keys.map((k) => h("tr", { class: one(x[k]) === one(y[k]) ? "still" : "differs" }, h("th", { scope: "row" }, k), h("td", {}, one(x[k])), h("td", {}, one(y[k])))))));
}

function said(answer, names) {
  const same = names.every((n) => answer?.equal?.includes(n) || n === answer?.best) && answer?.equal?.some((n) => n !== answer?.best);
  return h("div", { class: "cured" }, h("h3", {}, same ? t("compare.equal") : t("compare.best", { run: answer?.best ?? names[0] })), h("p", {}, answer?.verdict ?? ""), values(answer?.runs), (answer?.notes ?? []).map((n) => h("p", { class: "words" }, n)));
}
