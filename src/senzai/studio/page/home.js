// The start: drop data, go on with what was dropped before, or open a run.

import { get, path, upload } from "./api.js";
import { button, fill, h, memory, number, say, section } from "./dom.js";
import { go } from "./app.js";
import { t, told } from "./words.js";

export async function view(place) {
  const [{ runs }, { uploads, built_in }, about] = await Promise.all([get("/runs"), get("/data"), get("/about")]);
  const list = h("div", { class: "runs" });
  fill(place,
    h("div", { class: "head" }, h("h1", {}, t("home.title")), h("p", { class: "lede" }, t("home.lede"))),
    dropping(about, built_in),
    uploads.length > 0 && section("uploads", t("home.uploads"), t("home.uploads.words"),
      h("ul", { class: "plain" }, uploads.map((name) => h("li", {}, h("a", { href: `#${path("data", name)}` }, name))))),
    section("runs", t("home.runs"), [t("home.runs.words", { place: about.workspace })], list));
  runsOf(list, runs);
  const timer = setInterval(async () => {
    if (document.hidden) return;
    try {
      runsOf(list, (await get("/runs")).runs);
    } catch {
      /* said above the view */
    }
  }, 4000);
  return () => clearInterval(timer);
}

let seen = "";
function runsOf(list, runs) {
  const now = JSON.stringify([runs, document.documentElement.lang]);
  if (now === seen && list.childElementCount) return;
  seen = now;
  if (!runs.length) return fill(list, h("p", { class: "empty" }, t("home.none")));
  fill(list, h("table", { class: "listed" }, h("thead", {}, h("tr", {},
    [t("run.name"), t("run.data"), t("run.recipe"), t("run.state"), t("run.elbo")].map((x) => h("th", { scope: "col" }, x)))),
    h("tbody", {}, runs.map((r) => h("tr", {},
      h("th", { scope: "row" }, r.state === "damaged" ? r.name : h("a", { href: `#${path("run", r.name, r.state === "finished" ? "map" : "training")}` }, r.name)),
      h("td", {}, r.state === "damaged" ? r.why : r.lede), h("td", {}, r.recipe), h("td", {}, h("span", { class: `state ${r.state}` }, t(`state.${r.state}`))),
      h("td", { class: "num" }, number(r.fit?.validation_elbo)))))));
}

function dropping(about, builtIn) {
  const told = h("p", { class: "told", role: "status" });
  const file = h("input", { type: "file", multiple: true, id: "file", class: "unseen", tabindex: "-1", onchange: (e) => take(flat(e.target.files), about, told) });
  const folder = h("input", { type: "file", webkitdirectory: true, id: "folder", class: "unseen", tabindex: "-1", onchange: (e) => take(flat(e.target.files), about, told) });
  const zone = h("div", { class: "drop", id: "drop" },
    h("p", { class: "big" }, t("drop.here")),
    h("p", {}, button(t("drop.file"), () => file.click(), { class: "main" }), button(t("drop.folder"), () => folder.click()),
      builtIn.map((name) => h("a", { class: "button", href: `#${path("data", name)}` }, t("drop.example", { name })))),
    h("p", { class: "words" }, t("drop.kinds", { suffixes: [...new Set(about.kinds.flatMap((k) => k.suffixes))].join(" ") })),
    told, file, folder);
  zone.addEventListener("dragover", (e) => {
    e.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (e) => {
    e.preventDefault();
    zone.classList.remove("over");
    const entries = [...e.dataTransfer.items].map((i) => i.webkitGetAsEntry?.()).filter(Boolean);
    take(entries.length ? await walked(entries) : flat(e.dataTransfer.files), about, told);
  });
  return zone;
}

/** Files with the way to them. */
function flat(files) {
  return [...files].map((file) => ({ file, way: (file.webkitRelativePath || file.name).split("/") }));
}

async function walked(entries, way = []) {
  const found = [];
  for (const entry of entries) {
    if (entry.isFile) found.push({ file: await new Promise((done, fail) => entry.file(done, fail)), way: [...way, entry.name] });
    else {
      const reader = entry.createReader();
      for (let some; (some = await new Promise((done, fail) => reader.readEntries(done, fail))).length; ) found.push(...(await walked(some, [...way, entry.name])));
    }
  }
  return found;
}

/** A name that the workspace takes. */
export const tidy = (name) => name.replace(/[^\p{L}\p{N}_ .()+,@=-]/gu, "-").replace(/^[^\p{L}\p{N}_]+|[^\p{L}\p{N}_)]+$/gu, "").slice(0, 90) || "data";

async function take(files, about, place) {
  const wanted = files.filter(({ way }) => !way.some((p) => p.startsWith(".")));
  if (!wanted.length) return;
  const size = wanted.reduce((n, { file }) => n + file.size, 0);
  if (size > about.largest) return fill(place, h("span", { class: "warn" }, t("drop.large", { most: number(about.largest / 2 ** 20) })));
  const alone = wanted.length === 1 && wanted[0].way.length === 1;
  const name = alone ? tidy(wanted[0].way[0]) : tidy(wanted[0].way.length > 1 ? wanted[0].way[0] : `files ${new Date().toISOString().slice(0, 16).replace(/[T:]/g, "-")}`);
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("drop.sending") });
  fill(place, h("span", {}, t("drop.sending"), " ", name), bar);
  try {
    let sent = 0;
    for (const { file, way } of wanted) {
      const inner = alone ? [] : (way.length > 1 ? way.slice(1) : way).map(tidy);
      await upload(`/data${path(name, ...inner)}`, file, (part) => (bar.value = (sent + part * file.size) / (size || 1)));
      sent += file.size;
    }
    memory.set(`reading:${name}`, null);
    go("data", name);
  } catch (error) {
    fill(place, h("span", { class: "warn", role: "alert" }, told(error)));
    say(told(error));
  }
}
