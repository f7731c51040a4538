// The latent map: rows as points that stay fluid, with the row under the pointer, the model at the pointer, and a lasso.

import { bytes, get, getWhenDone, keep, latest, path, post, remove } from "./api.js";
import { block } from "./blocks.js";
import { Cloud, packed } from "./cloud.js";
import { bytesOf, colourOf, key, paint, valueOf } from "./colour.js";
import { button, fill, h, memory, number, say, select } from "./dom.js";
import { go } from "./app.js";
import { pointing } from "./pointing.js";
import { t, told } from "./words.js";

export async function view(place, { name, about }) {
  const stop = new AbortController(), base = `/runs${path(name)}`;
  const map = await made(place, base, stop);
  if (!map) return () => stop.abort();
  const state = { name, base, map, at: -1, cursor: null, kept: [], rows: new Map(), ...memory.get(`map:${name}`, {}) };
  const ui = stage(place, state);
  const cloud = new Cloud(ui.canvas);
  Object.assign(state, { cloud, ui, numbers: new Int32Array(await bytes(`${base}/map/rows`)) });
  cloud.resize();
  await plane(state);
  await coloured(state, state.by ?? Math.max(0, map.colourings.findIndex((c) => c.first)));
  const off = [pointing(state, { draw: () => draw(state), moved: () => follow(state), picked: () => selected(state), kept: () => remembered(state) })];
  const sized = new ResizeObserver(() => cloud.resize() && (refit(state), draw(state)));
  sized.observe(ui.canvas);
  const scheme = matchMedia("(prefers-color-scheme: dark)"), again = () => recoloured(state);
  scheme.addEventListener("change", again);
  refit(state);
  draw(state);
  selected(state);
  ui.canvas.dataset.ready = "yes";
  window.senzaiMap = { cloud, state, draw: () => draw(state) };
  return () => {
    stop.abort();
    off.forEach((f) => f());
    sized.disconnect();
    scheme.removeEventListener("change", again);
    delete window.senzaiMap;
  };
}

/** Wait for the map, show how far it is, and let people stop it. */
export async function made(place, base, stop) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("map.making") });
  const cancel = button(t("cancel"), () => remove(`${base}/map`).catch(() => {}), { id: "cancel" });
  const wait = h("div", { class: "making" }, h("p", { class: "waiting" }, t("map.making")), bar, h("p", {}, cancel));
  const timer = setTimeout(() => fill(place, wait), 200);
  try {
    return await getWhenDone(`${base}/map`, (part) => (bar.value = part), stop.signal);
  } catch (error) {
    clearTimeout(timer);
    if (error.name !== "AbortError") fill(place, h("p", { class: "empty", role: "alert" }, told(error)), h("p", {}, button(t("again"), () => location.reload())));
    return null;
  } finally {
    clearTimeout(timer);
  }
}

function stage(place, state) {
  const { map } = state, dims = map.order.slice(0, 12);
  const canvas = h("canvas", { id: "cloud", tabindex: "0", role: "application", "aria-label": t("map.says", { n: number(map.n) }), "aria-describedby": "map-help" });
  const over = h("canvas", { class: "over", "aria-hidden": "true" });
  const keys = h("div", { class: "key", id: "key" });
  const by = select([...map.colourings.map((c, i) => [i, c.name]), ...(state.scored === false ? [] : [["score", t("map.by.score")]])], state.by ?? map.colourings.findIndex((c) => c.first), (v) => coloured(state, v === "score" ? v : Number(v)), { id: "by" });
  const axis = [["", t("map.widest")], ...dims.flatMap((a, i) => dims.slice(i + 1).map((b) => [`${a},${b}`, `z${map.names[a]} × z${map.names[b]}`]))].slice(0, 60);
  const axes = select(axis, state.dims ?? "", latest(async (v) => {
    state.dims = v;
    await plane(state);
    state.cloud.picked = null;
    refit(state, true);
    draw(state);
    remembered(state);
  }), { id: "axes" });
  const tool = (mode, icon) => button(icon, () => setMode(state, mode), { class: "round", "aria-pressed": String((state.mode ?? "pan") === mode), "aria-label": t(`map.${mode}`), title: t(`map.${mode}`), "data-mode": mode });
  const zoom = (factor, icon, words) => button(icon, () => { state.cloud.window.zoom(factor); draw(state); }, { class: "round", "aria-label": t(words), title: t(words) });
  const ui = { canvas, over, keys, row: h("div", { class: "peeked", id: "row" }), here: h("div", { class: "peeked", id: "here" }), chosen: h("div", { id: "chosen" }) };
  fill(place, h("div", { class: "map-view" },
    h("div", { class: "map-stage" },
      h("div", { class: "by" }, h("label", {}, t("map.by"), " ", by), map.names.length > 2 && h("label", {}, t("map.plane"), " ", axes), keys),
      h("div", { class: "sheet" }, canvas, over,
        h("div", { class: "bar-of-tools" }, tool("pan", "✥"), tool("lasso", "◌"), zoom(1.4, "+", "map.in"), zoom(1 / 1.4, "−", "map.out"), button("⤢", () => { refit(state, true); draw(state); }, { class: "round", "aria-label": t("map.fit"), title: t("map.fit") }))),
      h("p", { class: "words", id: "map-help" }, map.whole ? t("map.words", { n: number(map.n) }) : t("map.words.some", { n: number(map.n), total: number(map.total) }), " ", t("map.keys"))),
    h("aside", { class: "map-side" },
      h("div", {}, h("h2", {}, t("map.row")), ui.row), h("div", {}, h("h2", {}, t("map.here")), ui.here), ui.chosen)));
  fill(ui.row, h("p", { class: "words" }, t("map.row.none")));
  fill(ui.here, h("p", { class: "words" }, t("map.here.none")));
  return ui;
}

export function setMode(state, mode) {
  state.mode = mode;
  document.querySelectorAll("[data-mode]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.mode === mode)));
  state.ui.canvas.classList.toggle("lasso", mode === "lasso");
  say(t(`map.${mode}`));
}

async function plane(state) {
  const query = state.dims ? `?x=${state.dims.split(",")[0]}&y=${state.dims.split(",")[1]}` : "";
  const [points, axes] = await Promise.all([bytes(`${state.base}/map/points${query}`), get(`${state.base}/map/plane${query}`)]);
  state.cloud.setPoints(new Float32Array(points));
  state.plane = axes;
}

const coloured = latest(async (state, by) => {
  try {
    if (by === "score") await getWhenDone(`${state.base}/anomalies`, (part) => fill(state.ui.keys, `${Math.round(100 * part)} %`));
    const found = await get(by === "score" ? `${state.base}/anomalies/colours` : `${state.base}/map/colours/${by}`);
    Object.assign(state, { by, colouring: found, codes: bytesOf(found.codes) });
    recoloured(state);
    remembered(state);
  } catch (error) {
    fill(state.ui.keys, h("span", { class: "warn" }, told(error)));
  }
});

function recoloured(state) {
  paint(state.cloud, state.colouring, state.codes);
  fill(state.ui.keys, key(state.colouring, state.codes));
  draw(state);
}

function refit(state, whole = false) {
  const { cloud } = state;
  if (whole || !state.fitted) {
    cloud.window.fit(cloud.box);
    cloud.first = cloud.window.scale;
    state.fitted = true;
  }
}

function remembered(state) {
  memory.set(`map:${state.name}`, { by: state.by, dims: state.dims });
}

function draw(state) {
  state.cloud.draw(packed(colourOf("--paper")));
  state.overlay?.();
}

/** Show the row under the pointer, and what the model makes of the place of the pointer. */
function follow(state) {
  const { cloud, ui, at, cursor } = state;
  if (at >= 0 && at !== state.told) {
    state.told = at;
    const row = state.numbers[at], title = h("p", { class: "caption" }, h("b", {}, t("row.n", { n: row })), " ", `${state.colouring.name}: ${valueOf(state.colouring, state.codes[at])}`);
    if (state.rows.has(row)) fill(ui.row, state.rows.get(row).cloneNode(true), title);
    else {
      fill(ui.row, ui.row.querySelector(".shown") ?? "", title);
      fetched(state, row, at);
    }
  }
  if (cursor) decoded(state, cloud.window.toPlane(...cursor));
}

const fetched = latest(async (state, row, at) => {
  const { drawn } = await get(`${state.base}/rows?at=${row}`);
  const shown = h("div", { class: "shown" }, block(drawn[0]));
  if (state.rows.size > 400) state.rows.delete(state.rows.keys().next().value);
  state.rows.set(row, shown);
  if (state.told === at) state.ui.row.replaceChildren(shown.cloneNode(true), state.ui.row.querySelector(".caption") ?? "");
});

/** The latents of a place of the plane. */
export function latents({ origin, axes }, [x, y]) {
  return origin.map((o, j) => o + x * axes[0][j] + y * axes[1][j]);
}

const decoded = latest(async (state, [x, y]) => {
  const z = latents(state.plane, [x, y]);
  const { drawn } = await post(`${state.base}/decode`, { points: [z], like: state.at >= 0 ? state.numbers[state.at] : 0 });
  fill(state.ui.here, block(drawn[0]), h("p", { class: "caption" }, `${number(x, 3)}, ${number(y, 3)}`));
});

/** What can be done with the rows inside the lasso. */
async function selected(state) {
  const { cloud, ui } = state;
  const count = cloud.picked ? cloud.picked.reduce((a, b) => a + b, 0) : 0;
  if (!count) return fill(ui.chosen);
  const rows = [];
  for (let i = 0; i < cloud.n; i++) if (cloud.picked[i]) rows.push(state.numbers[i]);
  state.chosen = rows;
  const words = h("p", { class: "words", role: "status" }), walls = h("div", { class: "wall small" });
  fill(ui.chosen, h("h2", {}, t("map.chosen", { n: number(count) })), walls,
    h("p", { class: "row-of" },
      button(t("export"), async (e) => {
        e.target.disabled = true;
        try {
          const { file } = await post(`${state.base}/export`, { rows });
          keep(file);
          fill(words, t("exported", { file }));
        } catch (error) {
          fill(words, told(error));
        }
        e.target.disabled = false;
      }, { id: "export" }),
      count >= 2 && button(t("map.between"), () => { memory.set(`between:${state.name}`, { a: rows[0], b: rows.at(-1) }); go("run", state.name, "between"); }),
      button(t("map.clear"), () => { cloud.picked = null; draw(state); selected(state); }, { id: "clear" })), words);
  say(t("map.chosen", { n: number(count) }));
  const some = rows.filter((_, i) => i % Math.max(1, Math.floor(count / 12)) === 0).slice(0, 12);
  try {
    const { drawn } = await get(`${state.base}/rows?${some.map((r) => `at=${r}`).join("&")}`);
    if (drawn[0]?.kind === "wall") fill(walls, drawn.map((b) => block(b)));
    else fill(walls, summary(state, cloud.picked));
  } catch {
    /* the count is enough */
  }
}

/** Of rows without pictures: which values of the colouring are inside, the most frequent first. */
function summary(state, picked) {
  const count = new Map();
  for (let i = 0; i < picked.length; i++) if (picked[i]) count.set(state.codes[i], (count.get(state.codes[i]) ?? 0) + 1);
  const most = [...count].sort((a, b) => b[1] - a[1]).slice(0, 6);
  return h("table", { class: "record" }, h("tbody", {}, most.map(([code, n]) => h("tr", {}, h("th", { scope: "row" }, valueOf(state.colouring, code)), h("td", {}, number(n))))));
}
