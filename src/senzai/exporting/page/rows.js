// Rows to model values and back, from the description that the export carries; the same rules as senzai.runtime.
"use strict";

const NEAR = 1e-6;
const MISSING = new Set(["", "na", "n/a", "nan", "null", "none", "<na>"]);
const PER_UNIT = { D: 86400000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 }; // milliseconds of a unit

function interpolate(x, from, to) {
  const last = from.length - 1;
  if (x <= from[0]) return to[0];
  if (x >= from[last]) return to[last];
  let low = 0, high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= x) low = middle; else high = middle;
  }
  const gap = from[high] - from[low];
  return gap > 0 ? to[low] + ((x - from[low]) / gap) * (to[high] - to[low]) : to[high];
}

function toPlace(x, knots, places) {
  const last = knots.length - 1;
  const slope = (places[last] - places[0]) / (knots[last] - knots[0]);
  if (x < knots[0]) return places[0] + (x - knots[0]) * slope;
  if (x > knots[last]) return places[last] + (x - knots[last]) * slope;
  const first = knots.indexOf(x), final = knots.lastIndexOf(x);
  if (first >= 0 && final > first) return (places[first] + places[final]) / 2;
  return interpolate(x, knots, places);
}

function forward(x, c) {
  if (c.transform === "quantile") {
    if (c.spike !== null && x === c.spike_value) return c.spike;
    const z = toPlace(x, c.knots, c.places);
    const near = c.spike !== null && Math.abs(z - c.spike) < 2 * NEAR;
    return near ? c.spike + 2 * NEAR * (x > c.spike_value ? 1 : -1) : z;
  }
  if (c.sort === "count") return x;
  if (c.transform === "log") return (Math.log(x) - c.knots[0]) / c.knots[1];
  const share = Math.min(1 - 1e-12, Math.max(1e-12, (x - c.knots[0]) / (c.knots[1] - c.knots[0])));
  return Math.log(share) - Math.log1p(-share);
}

function backward(z, c) {
  let x;
  if (c.transform === "quantile") {
    x = c.spike !== null && Math.abs(z - c.spike) < NEAR ? c.spike_value : interpolate(z, c.places, c.knots);
  } else if (c.transform === "log") x = Math.exp(Math.min(z * c.knots[1] + c.knots[0], 700));
  else if (c.transform === "logit") {
    x = c.knots[0] + (c.knots[1] - c.knots[0]) / (1 + Math.exp(-Math.min(700, Math.max(-700, z))));
    x = Math.min(c.high, Math.max(c.low, x));
  } else x = Math.max(Math.round(z), 0);
  return c.decimals === null ? x : Number(x.toFixed(c.decimals));
}

function numeric(c) { return !c.levels.some((v) => typeof v !== "number"); }

function written(value, form, decimals) {
  const places = form.places !== null ? form.places : decimals;
  const told = places !== null ? Math.abs(value).toFixed(places) : String(Math.abs(value));
  const [whole, rest] = told.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, form.thousands);
  return (value < 0 && /[1-9]/.test(told) ? "-" : "") + form.before + grouped + (rest ? form.decimal + rest : "") + form.after;
}

function plainNumber(text, c) {
  let bare = String(text).trim();
  if (c.form) {
    for (const sign of [c.form.before, c.form.after]) if (sign) bare = bare.replace(sign, "");
    if (c.form.thousands) bare = bare.split(c.form.thousands).join("");
    bare = bare.replace(c.form.decimal, ".");
  }
  const value = bare === "" ? NaN : Number(bare);
  if (!Number.isFinite(value)) throw new Error(`The column ${c.name} holds ${c.type} values, but got ${text}.`);
  return value;
}

function ofCell(cell, c) { // [model value, seen]
  if (cell === null || cell === undefined || MISSING.has(String(cell).trim().toLowerCase())) return [0, false];
  if (["category", "binary"].includes(c.sort) || (c.sort === "steps" && !numeric(c))) {
    let at = c.levels.findIndex((v) => String(v).toLowerCase() === String(cell).trim().toLowerCase());
    if (at < 0) at = c.levels.findIndex((v) => typeof v === "number" && v === Number(cell));
    if (at < 0 && c.other) at = c.levels.length;
    if (at < 0) throw new Error(`The column ${c.name} has the values ${c.levels.slice(0, 8).join(", ")}, but got ${cell}.`);
    return [at, true];
  }
  let x = c.ticks === "date" ? Date.parse(cell) / PER_UNIT[c.unit] : plainNumber(cell, c);
  if (!Number.isFinite(x)) throw new Error(`The column ${c.name} holds dates, but got ${cell}.`);
  if (c.sort === "steps") {
    let at = 0;
    for (let i = 1; i < c.levels.length; i += 1) if (x >= (c.levels[i] + c.levels[i - 1]) / 2) at = i;
    return [at, true];
  }
  if (c.ticks) x = (x * 10 ** (c.ticks === "decimal" ? c.scale : 0) - c.origin) / c.step;
  return [forward(x, c), true];
}

function toCell(z, c) {
  if (["category", "binary", "steps"].includes(c.sort)) {
    const at = Math.min(c.levels.length - (c.other ? 0 : 1), Math.max(0, Math.round(z)));
    return at < c.levels.length ? ofTick(c.levels[at], c) : "(other)";
  }
  let x = backward(z, c);
  if (!c.ticks) return c.form ? written(x, c.form, c.places_shown) : x;
  x = Math.round(x);
  if (c.sort !== "count") x = Math.min(c.high, Math.max(c.low, x));
  return ofTick(x * c.step + c.origin, c);
}

function ofTick(tick, c) {
  if (typeof tick !== "number") return tick;
  if (c.ticks === "date") return new Date(tick * PER_UNIT[c.unit]).toISOString().slice(0, c.unit === "D" ? 10 : 19).replace("T", " ").replace(" 00:00:00", "");
  if (c.ticks === "decimal") return (tick / 10 ** c.scale).toFixed(c.scale);
  return c.form ? written(tick, c.form, c.places_shown) : tick;
}

class Columns {
  constructor(told) {
    this.told = told;
    this.modelled = told.columns.filter((c) => c.sort);
    this.missingness = this.modelled.filter((c) => c.missingness);
    this.size = this.modelled.length + this.missingness.length;
  }

  encode(record) {
    const x = new Float32Array(this.size), mask = new Uint8Array(this.size).fill(1);
    this.modelled.forEach((c, i) => {
      if (!(c.name in record)) throw new Error(`The data lack the column ${c.name}.`);
      const [value, seen] = ofCell(record[c.name], c);
      x[i] = value; mask[i] = seen ? 1 : 0;
    });
    this.missingness.forEach((c, j) => { x[this.modelled.length + j] = mask[this.modelled.indexOf(c)] ? 0 : 1; });
    return { x, mask };
  }

  decode(values) {
    return this.modelled.map((c, i) => {
      const flag = this.missingness.indexOf(c);
      const gone = flag >= 0 && values[this.modelled.length + flag] > 0.5;
      return [c.name, gone ? "" : toCell(values[i], c)];
    });
  }
}

class Arrays {
  constructor(told) { this.told = told; this.size = told.shape.reduce((a, b) => a * b, 1); }

  encode(values) { // values of a row in the user's units, in the order of the model
    if (values.length !== this.size) throw new Error(`The model takes rows of ${this.size} numbers, but got ${values.length}.`);
    const x = new Float32Array(this.size), mask = new Uint8Array(this.size).fill(1), t = this.told;
    values.forEach((v, i) => {
      if (!Number.isFinite(v)) { mask[i] = 0; return; }
      const scaled = (v - (t.offset ? t.offset[i] : 0)) * (t.scale || 1);
      x[i] = ["levels", "binary", "count"].includes(t.support) ? Math.round(scaled) : scaled;
    });
    return { x, mask };
  }

  decode(values) {
    const t = this.told;
    return Array.from(values, (v, i) => v / (t.scale || 1) + (t.offset ? t.offset[i] : 0));
  }

  get top() { return this.told.support === "levels" ? (this.told.levels || 256) - 1 : 1; }
}

window.SENZAI_ROWS = { Columns, Arrays, forward, backward };
