// A run while it trains and after: curves, new rows, warnings; stop, go on, train longer. The run's folder is the truth.

import { get, path, post } from "./api.js";
import { block, card } from "./blocks.js";
import { chart } from "./curves.js";
import { button, fill, h, number, say, section } from "./dom.js";
import { t, told } from "./words.js";

export async function view(place, { name, about, again }) {
  const state = { about, lines: [], drawn: 0 };
  const parts = { top: h("div", { class: "stats-of" }), actions: h("div", { class: "actions" }), curves: h("div"), rows: h("div"), warnings: h("div"), facts: h("div") };
  fill(place, parts.top, parts.actions,
    section("curves", t("training.curves"), [t("training.curves.words"), t("training.nats")], parts.curves),
    section("samples", t("training.samples"), t("training.samples.words"), parts.rows),
    section("warnings", t("training.warnings"), t("training.warnings.words"), parts.warnings),
    section("facts", t("training.facts"), t("training.facts.words"), parts.facts));
  let off = false, timer;

  async function tick() {
    if (off) return;
    try {
      await refresh(name, state, parts, again);
    } catch (error) {
      fill(parts.actions, h("p", { class: "warn", role: "alert" }, told(error)));
    }
    const going = ["training", "starting"].includes(state.about.state) || state.about.job?.state === "working";
    if (!off) timer = setTimeout(tick, going ? 900 : 5000);
  }
  facts(parts.facts, about);
  await tick();
  return () => {
    off = true;
    clearTimeout(timer);
  };
}

async function refresh(name, state, parts, again) {
  const before = state.about.state;
  state.about = await get(`/runs${path(name)}`);
  if (!["starting", "failed"].includes(state.about.state)) {
    const news = await get(`/runs${path(name)}/history?after=${state.lines.length}`);
    if (news.start < state.lines.length) state.lines = state.lines.slice(0, news.start);
    state.lines.push(...news.lines);
  }
  const mark = JSON.stringify([state.about.state, state.lines.length, state.about.job?.state, state.about.job?.progress?.step]);
  if (mark === state.mark) return;
  state.mark = mark;
  top(parts.top, state);
  // Buttons stay what they are while steps go by: one that is exchanged between press and release loses the click.
  const job = state.about.job, kept = JSON.stringify([state.about.state, job?.name, job?.state]);
  if (kept !== state.kept) {
    state.kept = kept;
    actions(parts.actions, name, state);
  }
  curves(parts.curves, state.lines);
  rows(parts.rows, state);
  warnings(parts.warnings, state.lines);
  if (before !== state.about.state && state.about.state === "finished") {
    say(t("training.finished"));
    again();
  }
}

function top(place, { about, lines }) {
  const progress = about.job?.progress ?? {}, last = lines.findLast((l) => l.kind === "train"), held = lines.findLast((l) => l.kind === "validation");
  const step = about.state === "finished" ? about.fit?.steps : Math.max(progress.step ?? 0, last?.step ?? 0);
  const total = about.job?.state === "working" || about.state === "unfinished" ? progress.total : step;
  const left = last && total > step && last.step ? ((total - step) * last.seconds) / last.step : null;
  const best = lines.filter((l) => l.kind === "validation" && l.elbo !== undefined).reduce((a, b) => (a && a.elbo > b.elbo ? a : b), null);
  const stat = (title, value, unit, words) => h("div", { class: "stat" }, h("dt", {}, title), h("dd", { class: "value" }, value, " ", h("small", {}, unit)), h("dd", { class: "words" }, words));
  const working = ["training", "starting"].includes(about.state);
  fill(place,
    working && h("progress", { max: 1, value: total ? step / total : 0, "aria-label": t("training.progress") }),
    h("dl", { class: "stats" },
      stat(t("training.step"), number(step ?? 0), total ? t("training.of", { total: number(total) }) : "", working ? (about.state === "starting" ? t("state.starting") : left === null ? "" : t("training.left", { time: time(left) })) : t(`state.${about.state}`)),
      stat(t("training.elbo"), number(best?.elbo ?? about.fit?.validation_elbo), t("nats"), t("training.elbo.words")),
      stat(t("training.rate"), number((held ?? last)?.rate, 3), t("nats"), t("training.rate.words")),
      stat(t("training.distortion"), number((held ?? last)?.distortion, 4), t("nats"), t("training.distortion.words"))));
}

export function time(seconds) {
  const s = Math.max(0, Math.round(seconds));
  return s >= 3600 ? `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min` : s >= 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s} s`;
}

function actions(place, name, { about, lines }) {
  const job = about.job, working = ["training", "starting"].includes(about.state);
  const tell = (error) => place.append(h("p", { class: "warn", role: "alert" }, told(error)));
  const stop = button(t("training.stop"), async () => {
    stop.disabled = true;
    fill(stop, t("training.stopping"));
    await post(`/jobs${path(job.name)}/stop`).catch(tell);
    setTimeout(() => {
      stop.disabled = false;
      fill(stop, t("training.stop"));
    }, 15000);
  }, { id: "stop" });
  const on = (settings) => post(`/runs${path(name)}/resume`, { settings }).then(() => say(t("training.goes")), tell);
  const steps = about.fit?.steps ?? lines.findLast((l) => l.kind === "train")?.step ?? 1000;
  const ended = job && ["failed", "stopped", "lost"].includes(job.state) && about.state !== "finished";
  fill(place,
    working && stop,
    about.state === "unfinished" && button(t("training.resume"), () => on({}), { class: "main", id: "resume" }),
    about.state === "finished" && button(t("training.longer", { steps: number(2 * steps) }), () => on({ steps: 2 * steps }), { id: "longer" }),
    ended && h("p", { class: job.state === "stopped" ? "words" : "warn", role: "status" }, job.words || t(`job.was.${job.state}`)));
}

const of = (lines, kind, key) => lines.filter((l) => l.kind === kind && Number.isFinite(l[key])).map((l) => [l.step, l[key]]);

/** The curves of one history. */
export function curves(place, lines) {
  if (!lines.some((l) => l.kind === "train" || l.kind === "validation")) return fill(place, h("p", { class: "empty" }, t("training.none")));
  const loss = [{ name: t("curve.train"), points: of(lines, "train", "loss"), colour: "var(--real)" }, { name: t("curve.validation"), points: of(lines, "validation", "loss"), colour: "var(--model)" }];
  const both = [{ name: t("curve.validation"), points: of(lines, "validation", "distortion"), colour: "var(--distortion)" }];
  const rate = [{ name: t("curve.validation"), points: of(lines, "validation", "rate"), colour: "var(--rate)" }];
  const figure = (title, drawn, robust, width) => drawn.some((l) => l.points.length) && h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, title)), chart(drawn, { says: title, xname: t("curve.step"), robust, width, height: width ? 180 : 220 }));
  return fill(place, figure(t("curve.loss"), loss, true), h("div", { class: "charts two" }, figure(t("curve.distortion"), both, true, 390), figure(t("curve.rate"), rate, true, 390)));
}

function rows(place, { about }) {
  const samples = about.job?.progress?.samples, why = about.job?.progress?.no_samples;
  if (samples?.length) {
    const wall = samples[0].kind === "wall";
    return fill(place, h("p", { class: "words" }, t("training.sampled", { step: number(about.job.progress.sampled_at) })),
      h("div", { class: wall ? "wall of-rows" : "row-cards" }, samples.map((b) => (wall ? block(b) : card(b, "")))));
  }
  if (about.state === "finished") {
    return fill(place, h("p", { class: "empty" }, h("a", { href: `#${path("run", about.name, "sample")}` }, t("training.go.sample"))));
  }
  return fill(place, h("p", { class: "empty" }, why ?? t("training.no.samples")));
}

function warnings(place, lines) {
  const found = lines.filter((l) => l.kind === "warning" || l.kind === "recovered");
  return fill(place, found.length ? h("ul", { class: "listing warnings" }, found.map((l) => h("li", {}, h("b", {}, t("training.at", { step: number(l.step) })), " ", l.sentence ?? l.explanation)))
    : h("p", { class: "empty" }, t("training.well")));
}

function facts(place, about) {
  const settings = Object.entries({ ...(about.training ?? {}), ...(about.settings ?? {}) }).filter(([, v]) => v !== null && typeof v !== "object");
  const verbs = Object.entries(about.verbs ?? {});
  fill(place, h("table", {}, h("tbody", {}, [[t("run.data"), about.source], [t("run.recipe"), about.recipe], about.parameters && [t("training.parameters"), number(about.parameters)]].filter((x) => x && x[1]).map(([k, v]) => h("tr", {}, h("th", { scope: "row" }, k), h("td", {}, v))))),
    settings.length > 0 && h("details", {}, h("summary", {}, t("training.settings")), h("table", {}, h("tbody", {}, settings.map(([k, v]) => h("tr", {}, h("th", { scope: "row" }, k), h("td", {}, String(v))))))),
    verbs.length > 0 && h("details", {}, h("summary", {}, t("training.verbs")), h("table", {}, h("tbody", {}, verbs.map(([k, why]) => h("tr", {}, h("th", { scope: "row" }, k), h("td", {}, why ?? t("training.fits"))))))));
}
