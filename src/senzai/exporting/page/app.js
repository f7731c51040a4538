"use strict";

const { manifest, graphs } = window.SENZAI;
const told = manifest.rows;
const rows = told.form === "columns" ? new window.SENZAI_ROWS.Columns(told) : new window.SENZAI_ROWS.Arrays(told);
const $ = (id) => document.getElementById(id);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const sessions = {};
let ort = null, code = [], condition = null, busy = false, again = false;

function say(text, error = false) { $("status").textContent = text; $("status").classList.toggle("error", error); }

async function start() {
  // A page from disk may not fetch or import files beside it; what a script brought may be imported as a blob.
  const files = window.ORT_FILES;
  const url = URL.createObjectURL(new Blob([bytes(files["ort.wasm.bundle.min.mjs"])], { type: "text/javascript" }));
  ort = await import(url);
  URL.revokeObjectURL(url);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = bytes(files["ort-wasm-simd-threaded.wasm"]).buffer;
  for (const [name, blob] of Object.entries(graphs)) {
    sessions[name] = await ort.InferenceSession.create(bytes(blob), { executionProviders: ["wasm"] });
  }
  $("about").textContent = `Recipe ${manifest.recipe}, exported by senzai ${manifest.senzai}.`;
  $("hint").textContent = hint();
  buildCondition();
  if (sessions.decoder) {
    code = new Array(manifest.graphs.decoder.widths.z[0]).fill(0);
    buildSliders();
  } else $("zero").hidden = true;
  $("sample").hidden = !(sessions.prior || sessions.simulator);
  if (!sessions.encoder) { $("drop").hidden = true; document.querySelector(".file").hidden = true; }
  if (sessions.decoder) await decode(); // the first call takes longer
  await (sessions.decoder ? show() : sample());
  say("Ready.");
  window.READY = true;
}

function hint() {
  if (told.form === "columns") return "Drop a CSV file with the columns of the table here to encode its rows.";
  if (told.picture) return "Drop a picture here to encode it.";
  return "Drop a text file here with one row of numbers per line, separated by commas.";
}

function tensorsOf(name, given, n = 1) {
  const feeds = {};
  for (const input of sessions[name].inputNames) feeds[input] = given(input, n);
  return feeds;
}

function floats(values, shape) { return new ort.Tensor("float32", Float32Array.from(values), shape); }

function conditioned(name) {
  const width = manifest.graphs[name].widths.c[0];
  return floats(condition || new Array(width).fill(0), [1, width]);
}

async function decode() {
  const given = (input) => (input === "z" ? floats(code, [1, code.length]) : conditioned("decoder"));
  const begin = performance.now();
  const found = await sessions.decoder.run(tensorsOf("decoder", given));
  window.DECODE_MS = performance.now() - begin;
  return found.point.data;
}

async function show() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    draw($("out"), await decode());
    $("time").textContent = `Decoded in ${window.DECODE_MS.toFixed(1)} ms.`;
  } catch (err) { say(err.message, true); }
  busy = false;
  if (again) { again = false; show(); }
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

function noise(wanted) {
  const shape = wanted.shape.map((s) => (s === null ? 1 : s)), n = shape.reduce((a, b) => a * b, 1);
  const make = wanted.like === "normal" ? normal : Math.random;
  const values = Array.from({ length: n }, make);
  return wanted.dtype === "float64" ? new ort.Tensor("float64", Float64Array.from(values), shape) : floats(values, shape);
}

async function sample() {
  const name = sessions.prior ? "prior" : "simulator";
  const needed = manifest.graphs[name].noise;
  const found = await sessions[name].run(tensorsOf(name, (i) => (i in needed ? noise(needed[i]) : conditioned(name))));
  if (name === "simulator") { draw($("out"), found.x.data); return; }
  code = Array.from(found.z.data);
  moveSliders();
  await show();
}

// --- what a row looks like ------------------------------------------------------------------------------------------
function draw(place, values) {
  place.replaceChildren(told.picture ? picture(values) : told.form === "columns" ? record(rows.decode(values)) : bars(rows.decode(values)));
}

function picture(values) {
  const [c, h, w] = told.shape, canvas = document.createElement("canvas");
  canvas.width = w; canvas.height = h;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "The decoded picture");
  const context = canvas.getContext("2d"), image = context.createImageData(w, h), top = rows.top;
  for (let i = 0; i < h * w; i += 1) {
    for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = (255 * values[(c >= 3 ? k : 0) * h * w + i]) / top;
    image.data[4 * i + 3] = c === 4 ? (255 * values[3 * h * w + i]) / top : 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function cell(tag, text, kind = "") {
  const made = document.createElement(tag);
  made.textContent = typeof text === "number" ? String(Number(text.toPrecision(7))) : String(text);
  made.className = kind;
  return made;
}

function record(cells) {
  const table = document.createElement("table");
  for (const [name, value] of cells) {
    const line = table.insertRow();
    line.append(cell("th", name), cell("td", value, typeof value === "number" ? "number" : ""));
  }
  return table;
}

function bars(values) {
  const table = document.createElement("table"), most = Math.max(...values.map(Math.abs), 1e-9);
  values.slice(0, 200).forEach((v, i) => {
    const line = table.insertRow(), bar = document.createElement("div"), place = line.insertCell();
    bar.className = "bar"; bar.style.width = `${(100 * Math.abs(v)) / most}%`;
    place.append(bar);
    line.prepend(cell("th", told.columns ? told.columns[i] : i));
    line.append(cell("td", v, "number"));
  });
  return table;
}

// --- controls -------------------------------------------------------------------------------------------------------
function buildSliders() {
  $("sliders").replaceChildren(...code.map((v, i) => {
    const line = document.createElement("label"), input = document.createElement("input"), out = document.createElement("output");
    line.className = "slider";
    Object.assign(input, { type: "range", min: -4, max: 4, step: 0.05, value: v });
    input.setAttribute("aria-label", `Latent dimension ${i}`);
    out.textContent = v.toFixed(2);
    input.addEventListener("input", () => { code[i] = Number(input.value); out.textContent = code[i].toFixed(2); show(); });
    line.append(cell("span", `z${i}`), input, out);
    return line;
  }));
}

function moveSliders() {
  document.querySelectorAll(".slider").forEach((line, i) => {
    line.querySelector("input").value = code[i];
    line.querySelector("output").textContent = code[i].toFixed(2);
  });
}

function buildCondition() {
  const label = told.label;
  if (!label) return;
  const select = document.createElement("select"), name = document.createElement("label");
  label.classes.forEach((c, i) => select.append(new Option(String(c), i)));
  const choose = () => { condition = label.classes.map((_, i) => (i === Number(select.value) ? 1 : 0)); };
  select.addEventListener("change", () => { choose(); show(); });
  choose();
  name.append(`${label.name} `, select);
  $("condition").append(name);
}

// --- files ----------------------------------------------------------------------------------------------------------
function parseCsv(text) {
  const first = text.split("\n", 1)[0];
  const comma = [",", ";", "\t"].sort((a, b) => first.split(b).length - first.split(a).length)[0];
  const lines = [[]];
  let field = "", quoted = false;
  for (let i = 0; i < text.length; i += 1) {
    const ch = text[i];
    if (quoted && ch === '"' && text[i + 1] === '"') { field += '"'; i += 1; }
    else if (ch === '"') quoted = !quoted;
    else if (!quoted && (ch === comma || ch === "\n")) {
      lines[lines.length - 1].push(field.replace(/\r$/, "")); field = "";
      if (ch === "\n") lines.push([]);
    } else field += ch;
  }
  if (field !== "" || lines[lines.length - 1].length) lines[lines.length - 1].push(field.replace(/\r$/, ""));
  return lines.filter((l) => l.length > 0 && l.some((v) => v !== ""));
}

async function pictureOf(file) {
  const [c, h, w] = told.shape, bitmap = await createImageBitmap(file), canvas = new OffscreenCanvas(w, h);
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; context.fillRect(0, 0, w, h);
  context.drawImage(bitmap, 0, 0, w, h);
  const pixels = context.getImageData(0, 0, w, h).data, values = new Array(c * h * w);
  const scale = rows.top / (told.scale || 1) / 255;
  for (let i = 0; i < h * w; i += 1) {
    const [r, g, b, a] = pixels.slice(4 * i, 4 * i + 4);
    const grey = 0.299 * r + 0.587 * g + 0.114 * b;
    for (let k = 0; k < c; k += 1) values[k * h * w + i] = scale * (c === 1 ? grey : [r, g, b, a][k]);
  }
  return [values];
}

async function rowsOf(file) {
  if (told.picture) return pictureOf(file);
  const text = (await file.text()).replace(/^\uFEFF/, "");
  const lines = parseCsv(text.endsWith("\n") ? text : `${text}\n`);
  if (told.form !== "columns") return lines.map((l) => l.map(Number));
  const names = lines[0];
  return lines.slice(1).map((l) => Object.fromEntries(names.map((n, i) => [n, l[i]])));
}

async function encodeFile(file) {
  try {
    const found = (await rowsOf(file)).slice(0, 1000).map((r) => rows.encode(r));
    const shape = told.form === "columns" ? [rows.size] : told.shape, codes = [];
    const begin = performance.now();
    for (const { x, mask } of found) {
      const given = (input) => (input === "x" ? floats(x, [1, ...shape])
        : input === "mask" ? new ort.Tensor("bool", mask, [1, ...shape]) : conditioned("encoder"));
      codes.push(Array.from((await sessions.encoder.run(tensorsOf("encoder", given))).mean.data));
    }
    const took = performance.now() - begin;
    window.CODES = codes;
    code = codes[0].slice();
    moveSliders();
    await show();
    $("encoded").replaceChildren(listed(codes.slice(0, 100)));
    say(`Encoded ${codes.length} rows of ${file.name} in ${took.toFixed(0)} ms.`);
  } catch (err) { say(err.message, true); }
}

function listed(codes) {
  const table = document.createElement("table"), head = table.insertRow();
  head.append(cell("th", "row"), ...codes[0].map((_, i) => cell("th", `z${i}`)));
  codes.forEach((z, i) => {
    const line = table.insertRow();
    line.append(cell("th", i), ...z.map((v) => cell("td", v.toFixed(3), "number")));
    line.tabIndex = 0;
    const pick = () => { code = z.slice(); moveSliders(); show(); };
    line.addEventListener("click", pick);
    line.addEventListener("keydown", (e) => { if (e.key === "Enter") pick(); });
  });
  return table;
}

$("sample").addEventListener("click", () => sample().catch((e) => say(e.message, true)));
$("zero").addEventListener("click", () => { code.fill(0); moveSliders(); show(); });
$("file").addEventListener("change", (e) => { if (e.target.files[0]) encodeFile(e.target.files[0]); });
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (e) => {
    e.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && e.dataTransfer.files[0]) encodeFile(e.dataTransfer.files[0]);
  });
}
start().catch((err) => say(`The model could not be started: ${err.message}`, true));
