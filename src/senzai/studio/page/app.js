// Starts the page: languages, the way from an address to a view, keys that work everywhere, and what works behind it.

import { get, path, post, Problem } from "./api.js";
import { button, fill, h, memory, say, select } from "./dom.js";
import { LANGUAGES, language, speak, t, told } from "./words.js";

const VIEWS = {
  home: () => import("./home.js"),
  data: () => import("./data.js"),
  training: () => import("./training.js"),
  map: () => import("./map.js"),
  sliders: () => import("./sliders.js"),
  between: () => import("./between.js"),
  sample: () => import("./sample.js"),
  fill: () => import("./holes.js"),
  anomalies: () => import("./anomalies.js"),
  diagnosis: () => import("./diagnosis.js"),
  compare: () => import("./compare.js"),
};
export const TABS = ["training", "map", "sliders", "between", "sample", "fill", "anomalies", "diagnosis", "compare"];
const NEEDS = { sliders: "encode", between: "interpolate", fill: "impute", anomalies: "score", map: "encode", sample: "sample" };

const main = document.getElementById("main");
let leave = null;
let shown = 0;

export function go(...parts) {
  location.hash = `#${path(...parts)}`;
}

function asked() {
  const parts = location.hash.slice(1).split("/").filter(Boolean).map(decodeURIComponent);
  if (parts[0] === "data" && parts[1]) return { view: "data", name: parts[1] };
  if (parts[0] === "run" && parts[1]) return { view: VIEWS[parts[2]] ? parts[2] : "training", name: parts[1], more: parts.slice(3) };
  return { view: "home" };
}

/** Head of everything about a run: its name, what it is, and the ways to look at it. */
function runHead(about, view) {
  const link = (name, i) => {
    const why = about.state === "finished" ? about.verbs?.[NEEDS[name]] ?? (name === "fill" && !about.cells ? t("fill.none") : null) : name === "training" ? null : t("tab.waits");
    const current = name === view ? "page" : null;
    const text = t(`tab.${name}`);
    return why ? h("a", { role: "link", "aria-disabled": "true", title: why, "data-view": name, tabindex: "0", onclick: () => say(why) }, text)
      : h("a", { href: `#${path("run", about.name, name)}`, "aria-current": current, "data-view": name, title: `Alt+${i + 1}` }, text);
  };
  return h("div", { class: "head" },
    h("h1", {}, about.name),
    h("p", { class: "lede" }, about.recipe ? t("run.lede", { lede: about.lede, recipe: about.recipe }) : t(`state.${about.state}`)),
    h("nav", { "aria-label": t("nav.views") }, TABS.map(link)));
}

async function show() {
  const mine = ++shown;
  const { view, name, more } = asked();
  leave?.();
  leave = null;
  document.getElementById("where").replaceChildren(...(view === "home" ? [] : [" · ", h("a", { href: "#/" }, t("nav.home"))]));
  try {
    const [module, about] = await Promise.all([VIEWS[view](), name && view !== "data" ? get(`/runs${path(name)}`) : null]);
    if (mine !== shown) return;
    const place = h("div", { class: `view ${view}` });
    document.title = `${name ? `${name} · ` : ""}senzai studio`;
    fill(main, about && runHead(about, view), place);
    if (about) say(t(`tab.${view}`));
    const off = await module.view(place, { name, about, more, again: show });
    if (mine === shown) leave = off;
    else off?.();
  } catch (error) {
    if (mine === shown) fill(main, problem(error instanceof TypeError ? new Problem(0, "unreachable", "") : error));
    console.warn(error);
  }
}

/** An error where the view would be, with the way back. */
export function problem(error) {
  return h("div", { class: "problem", role: "alert" }, h("p", { class: "empty" }, told(error)),
    h("p", {}, button(t("again"), show), " ", h("a", { href: "#/" }, t("nav.home"))));
}

// --- what stands above every view ---------------------------------------------------------------------------------
async function tools() {
  const languages = select(LANGUAGES, language(), async (code) => {
    memory.set("language", code);
    await speak(code);
    tools();
    show();
  }, { "aria-label": t("tools.language") });
  fill(document.getElementById("tools"), h("span", { id: "jobs" }), languages,
    button("?", help, { class: "round", "aria-label": t("tools.keys"), title: t("tools.keys") }));
  document.querySelector(".skip").textContent = t("skip");
  work();
}

/** Say what works behind the page, with a button to stop it. */
async function work() {
  const place = document.getElementById("jobs");
  clearTimeout(work.timer);
  try {
    const { jobs } = await get("/jobs");
    const going = jobs.filter((j) => j.state === "working");
    const words = (j) => `${j.run}: ${t(`job.${j.what}`)}${j.progress?.total ? ` ${Math.floor((100 * j.progress.step) / j.progress.total)} %` : " …"}`;
    const told = (j) => {
      const where = j.what === "fit" || j.what === "resume" ? "training" : j.what === "compare" ? "compare" : "diagnosis";
      return h("span", { class: "job" }, h("a", { href: `#${path("run", j.run, where)}` }, words(j)),
        button("×", () => post(`/jobs${path(j.name)}/stop`).then(work), { class: "round", "aria-label": t("job.stop", { run: j.run }), title: t("job.stop", { run: j.run }) }));
    };
    const mark = JSON.stringify(going.map((j) => j.name)), links = place.querySelectorAll("a");
    if (place.isConnected && place.dataset.jobs !== mark) {
      place.dataset.jobs = mark;
      fill(place, going.map(told));
    } else {
      links.forEach((a, i) => (a.textContent = words(going[i]))); // the buttons stay, so that no click is lost
    }
    work.timer = setTimeout(work, going.length ? 1500 : 6000);
  } catch {
    delete place.dataset.jobs;
    if (place.isConnected) fill(place, h("span", { class: "gone" }, t("error.away")));
    work.timer = setTimeout(work, 3000);
  }
}

function help() {
  const keys = [["Alt+1 … Alt+9", "keys.tabs"], ["?", "keys.help"], ["Esc", "keys.close"], ["← ↑ → ↓", "keys.cursor"], ["Shift + ←↑→↓", "keys.pan"],
    ["+ −", "keys.zoom"], ["0", "keys.fit"], ["L", "keys.lasso"], ["A", "keys.visible"], ["Enter", "keys.keep"]];
  const box = h("dialog", { class: "help", "aria-labelledby": "help-title", onclose: () => box.remove() },
    h("h2", { id: "help-title" }, t("tools.keys")),
    h("table", {}, h("tbody", {}, keys.map(([k, w]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, k)), h("td", {}, t(w)))))),
    h("p", {}, button(t("close"), () => box.close())));
  document.body.append(box);
  box.showModal();
}

addEventListener("keydown", (e) => {
  const typing = e.target.matches?.("input, select, textarea");
  if (e.key === "?" && !typing && !document.querySelector("dialog")) help();
  const digit = e.altKey && /^Digit[1-9]$/.test(e.code) ? Number(e.code.slice(5)) : 0;
  const { name, view } = asked();
  if (digit && name && view !== "data" && TABS[digit - 1]) {
    e.preventDefault();
    go("run", name, TABS[digit - 1]);
  }
});
document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);

await speak();
tools();
show();
