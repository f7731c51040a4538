// What is wrong with a run, and its cure as a button; every other verb that judges a run stands below.

import { get, path, post } from "./api.js";
import { button, fill, h, number, say, section } from "./dom.js";
import { t, told } from "./words.js";

export async function view(place, { name, about }) {
  const { verbs } = await get("/about");
  const judges = verbs.filter((v) => v.takes === "own rows" && ["document", "file"].includes(v.answers) && about.verbs?.[v.name] === null && !["diagnose", "cure"].includes(v.name));
  const found = h("div", { id: "findings" }), treated = h("div", { id: "treated" }), others = h("div", { class: "judges" });
  const work = { ended: false };
  fill(place,
    section("diagnosis", t("tab.diagnosis"), [t("diagnosis.words"), t("diagnosis.words.cure")],
      h("p", {}, button(t("diagnosis.go"), () => begin("diagnose", found).then((job) => job && again()), { class: "main", id: "diagnose" })), found, treated),
    judges.length > 0 && section("judges", t("diagnosis.judges"), t("diagnosis.judges.words"), others),
    about.report && section("report", t("diagnosis.report"), t("diagnosis.report.words"), h("p", {}, h("a", { class: "button", href: `api/runs${path(name)}/report`, target: "_blank", rel: "noopener" }, t("diagnosis.open")))));

  fill(others, judges.map((v) => {
    const out = h("div");
    return h("div", { class: "judge" }, h("div", {}, h("h3", {}, v.name), h("p", { class: "words" }, v.summary)), button(t("diagnosis.do"), () => begin(v.name, out).then((job) => job && fill(out, v.answers === "file" ? h("a", { href: `api/runs${path(name)}/report`, target: "_blank", rel: "noopener" }, t("diagnosis.open")) : values(job.answer))), { "data-verb": v.name }), out);
  }));

  /** Begin a verb, watch it, and return the job when it is done; a job that works already is watched as well. */
  async function begin(verb, out, known = null) {
    try {
      const job = known ?? (await post(`/runs${path(name)}/judge/${verb}`, {})).job;
      return await watched(job, out, work);
    } catch (error) {
      fill(out, h("p", { class: "warn", role: "alert" }, told(error)));
      return null;
    }
  }

  async function again() {
    const now = await get(`/runs${path(name)}`);
    findings(found, now.metrics?.diagnosis, () => begin("cure", treated).then((job) => job && cured(treated, job)));
    const last = now.jobs?.find((j) => j.verb === "cure");
    if (last?.state === "done") cured(treated, last);
    for (const job of now.jobs?.filter((j) => j.state === "working" && j.what === "verb") ?? []) {
      const out = job.verb === "cure" ? treated : job.verb === "diagnose" ? found : null;
      if (out) begin(job.verb, out, job.name).then((done) => done && (job.verb === "cure" ? cured(treated, done) : again()));
    }
  }
  await again();
  return () => (work.ended = true);
}

/** Show that a job works, with a button to stop it, until it ends. */
export async function watched(job, out, work) {
  const words = h("span", {}, t("job.working"));
  fill(out, h("p", { class: "waiting" }, words, " ", button(t("cancel"), (e) => { e.target.disabled = true; post(`/jobs${path(job)}/stop`).catch(() => {}); }, { id: "cancel" })), h("progress", { "aria-label": t("job.working") }));
  const since = Date.now();
  while (!work.ended) {
    const now = await get(`/jobs${path(job)}`);
    if (now.state === "done") {
      say(t("job.done"));
      fill(out);
      return now;
    }
    if (now.state !== "working") {
      fill(out, h("p", { class: now.state === "stopped" ? "words" : "warn", role: "alert" }, now.words || t(`job.was.${now.state}`)));
      return null;
    }
    fill(words, t("job.working"), ` ${Math.round((Date.now() - since) / 1000)} s`);
    await new Promise((done) => setTimeout(done, 700));
  }
  return null;
}

function findings(place, diagnosis, cure) {
  if (!diagnosis) return fill(place, h("p", { class: "empty" }, t("diagnosis.none")));
  if (!diagnosis.findings.length) return fill(place, h("p", { class: "well" }, t("diagnosis.well", { n: diagnosis.well.length })));
  const can = diagnosis.findings.findIndex((f) => Object.keys(f.remedy.settings ?? {}).length || f.remedy.recipe);
  return fill(place, h("ol", { class: "findings" }, diagnosis.findings.map((f, i) => h("li", { class: f.grade }, h("h3", {}, h("span", { class: `grade ${f.grade}` }, t(`grade.${f.grade}`)), " ", f.name.replaceAll("_", " ")),
    h("p", {}, f.sentence), h("p", { class: "words" }, f.quantity, ": ", h("b", {}, number(f.value)), ` (${t(f.wrong === "above" ? "diagnosis.above" : "diagnosis.below", { value: number(f.threshold) })})`),
    h("p", {}, h("b", {}, t("diagnosis.remedy")), " ", f.remedy.words), Object.keys(f.remedy.settings ?? {}).length > 0 && h("p", { class: "words" }, Object.entries(f.remedy.settings).map(([k, v]) => `${k} = ${v}`).join(", ")),
    i === can && h("p", {}, button(t("diagnosis.cure"), cure, { class: "main", id: "cure" }))))));
}

function cured(place, job) {
  const a = job.answer ?? {}, better = a.kept === "after";
  fill(place, h("div", { class: "cured" }, h("h3", {}, better ? t("cure.better") : t("cure.worse")),
    h("table", {}, h("tbody", {}, [[t("cure.finding"), a.finding?.name?.replaceAll("_", " ")], [t("cure.settings"), Object.entries(a.settings ?? {}).map(([k, v]) => `${k} = ${v}`).join(", ")],
      [a.finding?.quantity ?? "", `${number(a.quantity?.before)} → ${number(a.quantity?.after)}`]].map(([k, v]) => h("tr", {}, h("th", { scope: "row" }, k ?? ""), h("td", {}, v ?? ""))))),
    job.makes && h("p", { class: "row-of" }, h("a", { class: "button", href: `#${path("run", job.makes, "training")}` }, t("cure.open", { run: job.makes })), h("a", { class: "button", href: `#${path("run", job.run, "compare", job.makes)}` }, t("cure.compare")))));
}

/** A document as a table; what lies deeper is folded. */
export function values(document_, depth = 0) {
  const rows = Object.entries(document_ ?? {});
  const simple = (v) => v === null || typeof v !== "object";
  const one = (v) => (typeof v === "number" ? number(v) : v === null ? "–" : String(v));
  const figure = (v) => v && typeof v === "object" && "value" in v && "se" in v;
  return h("div", {}, h("table", {}, h("tbody", {}, rows.filter(([, v]) => simple(v) || figure(v)).map(([k, v]) => h("tr", {}, h("th", { scope: "row" }, k.replaceAll("_", " ")), h("td", {}, figure(v) ? `${one(v.value)}${v.se ? ` ± ${number(v.se, 2)}` : ""}` : one(v)))))),
    depth < 3 && rows.filter(([, v]) => !simple(v) && !figure(v) && Object.keys(v).length).map(([k, v]) => h("details", {}, h("summary", {}, k.replaceAll("_", " ")), Array.isArray(v) && v.every(simple) ? h("p", { class: "words" }, v.slice(0, 40).map(one).join(", ")) : values(v, depth + 1))));
}
