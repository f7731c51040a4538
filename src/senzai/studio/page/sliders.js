// One row, and what becomes of it while single latents, or what has a name, are moved.

import { get, latest, path, post } from "./api.js";
import { block } from "./blocks.js";
import { button, field, fill, h, memory, number, section } from "./dom.js";
import { made } from "./map.js";
import { t, told } from "./words.js";

const MOST = 10;

export async function view(place, { name }) {
  const stop = new AbortController(), base = `/runs${path(name)}`;
  const map = await made(place, base, stop);
  if (!map) return () => stop.abort();
  const state = { row: 0, moved: {}, pushed: {}, ...memory.get(`sliders:${name}`, {}) };
  const own = h("div", { class: "shown", id: "own" }), changed = h("div", { class: "shown", id: "changed", "aria-live": "polite" });
  const words = h("p", { class: "words" }), lists = h("div", { class: "slider-lists" });
  let z = map.mean, first = null;

  const decode = latest(async () => {
    memory.set(`sliders:${name}`, state);
    try {
      const { drawn } = await post(`${base}/decode`, { points: [z, point()], like: state.row });
      first = drawn[0];
      fill(own, block(drawn[0]));
      fill(changed, marked(drawn[1], first));
      fill(words, "");
    } catch (error) {
      fill(words, told(error));
    }
  });

  /** The row's latents with what was moved. */
  function point() {
    const made = z.map((v, j) => (j in state.moved ? Number(state.moved[j]) : v));
    for (const [i, much] of Object.entries(state.pushed)) map.attributes[i]?.direction.forEach((d, j) => (made[j] += Number(much) * d));
    return made;
  }

  async function start() {
    z = (await get(`${base}/codes?at=${state.row}`)).codes[0];
    sliders();
    decode();
  }

  function sliders() {
    const dims = map.order.slice(0, MOST).map((j) => slider(`z${map.names[j]}`, map.rated ? `${number(map.use[j], 2)} ${t("nats")}` : "", Math.min(map.low[j], z[j]), Math.max(map.high[j], z[j]), j in state.moved ? state.moved[j] : z[j], (v) => {
      state.moved[j] = v;
      decode();
    }));
    const named = map.attributes.map((a, i) => slider(a.level ? `${a.name}: ${a.level}` : a.name, t("sliders.explains", { share: Math.round(100 * a.share) }), -3, 3, state.pushed[i] ?? 0, (v) => {
      state.pushed[i] = v;
      decode();
    }));
    fill(lists, h("div", {}, h("h3", {}, t("sliders.dims")), dims), named.length > 0 && h("div", {}, h("h3", {}, t("sliders.named")), named));
  }

  const row = h("input", { type: "number", min: 0, max: map.total - 1, value: state.row, id: "start-row", onchange: (e) => {
    state.row = Math.min(Math.max(0, Math.round(Number(e.target.value) || 0)), map.total - 1);
    e.target.value = state.row;
    start().catch((error) => fill(words, told(error)));
  } });
  fill(place, section("sliders", t("tab.sliders"), [t("sliders.words"), map.rated ? t("sliders.rated") : t("sliders.varied"), t("sliders.words.named")],
    h("div", { class: "row-of" }, field(t("sliders.row"), row),
      button(t("random"), () => { row.value = Math.floor(Math.random() * map.total); row.dispatchEvent(new Event("change")); }),
      button(t("sliders.reset"), () => { state.moved = {}; state.pushed = {}; sliders(); decode(); }, { id: "reset" })),
    h("div", { class: "pair" }, h("figure", {}, h("figcaption", {}, t("sliders.own")), own), h("figure", {}, h("figcaption", {}, t("sliders.changed")), changed)), words, lists));
  await start();
  return () => stop.abort();
}

function slider(title, note, low, high, value, onmove) {
  const shown = h("output", {}, number(Number(value), 3));
  const input = h("input", { type: "range", min: low, max: high, step: (high - low) / 200 || 0.01, value, "aria-label": `${title} ${note}`, oninput: (e) => {
    fill(shown, number(Number(e.target.value), 3));
    onmove(Number(e.target.value));
  } });
  return h("label", { class: "slider" }, h("span", { title }, title), h("small", {}, note), input, shown);
}

/** A record with what differs from another one marked; anything else as it is drawn. */
export function marked(b, first) {
  if (b.kind !== "table" || first?.kind !== "table") return block(b);
  const before = new Map(first.rows);
  return h("table", { class: "record" }, h("tbody", {}, b.rows.map(([name, value]) => h("tr", { class: before.get(name) !== value ? "differs" : null }, h("th", { scope: "row" }, name), h("td", {}, value)))));
}
