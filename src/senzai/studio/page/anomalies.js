// Strange rows: where the threshold lies is for people to say; each row beyond it comes with its reasons.

import { bytes, get, getWhenDone, keep, path, post, remove } from "./api.js";
import { block } from "./blocks.js";
import { bars } from "./curves.js";
import { button, field, fill, h, memory, number, say, section, select } from "./dom.js";
import { t, told } from "./words.js";

const SHOWN = 12, BINS = 72;

export async function view(place, { name }) {
  const base = `/runs${path(name)}/anomalies`, { uploads } = await get("/data");
  const state = { alpha: 0.02, data: "", ...memory.get(`anomalies:${name}`, {}) };
  if (!uploads.includes(state.data)) state.data = "";
  const out = h("div");
  let stop = new AbortController();
  const query = () => (state.data ? `?data=${encodeURIComponent(state.data)}` : "");
  const data = select([["", t("anomalies.own")], ...uploads.map((u) => [u, u])], state.data, (v) => { state.data = v; memory.set(`anomalies:${name}`, state); score(); }, { id: "data" });
  fill(place, section("anomalies", t("tab.anomalies"), [t("anomalies.words"), t("anomalies.words.share"), t("anomalies.words.reasons")],
    h("div", { class: "row-of" }, field(t("anomalies.data"), data)), out));

  async function score() {
    stop.abort(); // other data were chosen: the answer about those before would be drawn over theirs
    const { signal } = (stop = new AbortController());
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("anomalies.scoring") });
    fill(out, h("p", { class: "waiting" }, t("anomalies.scoring")), bar, h("p", {}, button(t("cancel"), () => remove(`${base}${query()}`).catch(() => {}), { id: "cancel" })));
    try {
      const { n } = await getWhenDone(`${base}${query()}`, (part) => (bar.value = part), signal);
      const both = new Float32Array(await bytes(`${base}/scores${query()}`));
      if (signal.aborted) return;
      draw(both.subarray(0, n), both.subarray(n));
    } catch (error) {
      if (error.name !== "AbortError") fill(out, h("p", { class: "empty", role: "alert" }, told(error)), h("p", {}, button(t("again"), score)));
    }
  }

  function draw(values, rare) {
    const order = [...values.keys()].sort((a, b) => values[b] - values[a]);
    const low = values[order.at(-1)], top = values[order[0]], high = top > low ? top : low + 1;
    const counts = new Array(BINS).fill(0);
    values.forEach((v) => counts[Math.min(BINS - 1, Math.floor((BINS * (v - low)) / (high - low)))]++);
    const least = Math.max(1e-4, Math.min(...rare)), place_ = h("div"), list = h("ol", { class: "strange", id: "strange" }), words = h("p", { class: "words", role: "status" }), count = h("p", { class: "flagged", "aria-live": "polite" });
    const steps = 100, toAlpha = (v) => 0.5 * (least / 0.5) ** (1 - v / steps), toStep = (a) => steps * (1 - Math.log(a / 0.5) / Math.log(least / 0.5));
    let flagged = [], asked = 0;
    state.alpha = Math.max(state.alpha, least);

    function flag() {
      flagged = order.filter((i) => rare[i] <= state.alpha + 1e-9);
      const mark = flagged.length ? values[flagged.at(-1)] : high + 1;
      fill(place_, bars(counts, low, high, mark, { says: t("anomalies.chart", { n: number(values.length) }) }));
      fill(count, h("b", {}, number(flagged.length)), " ", t("anomalies.flagged", { total: number(values.length), share: number(100 * state.alpha, 2) }));
      exporter.disabled = !flagged.length;
      memory.set(`anomalies:${name}`, state);
    }

    async function reasons() {
      const some = flagged.slice(0, SHOWN), mine = ++asked;
      if (!some.length) return fill(list, h("li", { class: "empty" }, t("anomalies.none")));
      const found = await get(`${base}/reasons?${some.map((i) => `at=${i}`).join("&")}${state.data ? `&data=${encodeURIComponent(state.data)}` : ""}`);
      if (mine !== asked) return null;
      list.classList.toggle("pictures", found.drawn[0]?.kind === "wall");
      fill(list, some.map((row, k) => entry(row, values[row], rare[row], found.drawn[k], found.expected[k], found.reasons[k])));
      return null;
    }

    const slider = h("input", { type: "range", min: 0, max: steps, step: 1, value: toStep(state.alpha), id: "threshold", "aria-label": t("anomalies.threshold"), oninput: (e) => { state.alpha = toAlpha(Number(e.target.value)); flag(); }, onchange: () => { reasons(); say(count.textContent); } });
    const exporter = button(t("export"), async () => {
      try {
        const { file } = await post(`${base}/export${query()}`, { rows: flagged });
        keep(file);
        fill(words, t("exported", { file }));
      } catch (error) {
        fill(words, told(error));
      }
    }, { id: "export" });
    fill(out, h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, t("anomalies.scores")), h("small", {}, t("anomalies.root"))), place_),
      h("label", { class: "slider wide-slider" }, h("span", {}, t("anomalies.threshold")), slider), count, h("p", { class: "row-of" }, exporter), words, list);
    flag();
    reasons().catch((error) => fill(words, told(error)));
  }

  await score();
  return () => stop.abort();
}

function entry(row, value, rare, drawn, expected, reasons) {
  const most = Math.max(1, ...reasons.map((r) => r.beyond));
  const picture = drawn.kind === "wall";
  return h("li", {}, h("div", { class: "row-shown" }, picture ? h("div", { class: "pair" }, h("figure", {}, block(drawn), h("figcaption", {}, t("anomalies.row"))), h("figure", {}, block(expected), h("figcaption", {}, t("anomalies.model")))) : block(drawn)),
    h("div", {}, h("p", { class: "caption" }, h("b", {}, t("row.n", { n: row })), " ", t("anomalies.score", { score: number(value), share: number(100 * rare, 2) })),
      reasons.length > 0 ? h("table", { class: "reasons" }, h("caption", {}, t("anomalies.because")), h("tbody", {}, reasons.map((r) => h("tr", {}, h("th", { scope: "row" }, r.name === "latent code" ? t("anomalies.code") : r.name), h("td", {}, h("i", { style: { width: `${Math.min(100, (100 * r.beyond) / most)}%` } })), h("td", { class: "num" }, t("anomalies.beyond", { n: number(r.beyond, 2) }))))))
        : !picture && h("p", { class: "words" }, t("anomalies.together"))));
}
