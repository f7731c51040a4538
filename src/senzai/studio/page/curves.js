// Lines in SVG: curves of training and rows that are curves. Axes are few, names stand at the ends of the lines.

import { h, number } from "./dom.js";

const FULL = 800;

/** Round places for marks between two numbers. */
export function ticks(low, high, most = 5) {
  const raw = (high - low) / Math.max(1, most);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((s) => s * power).find((s) => s >= raw);
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return found;
}

function range(values, robust) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return [0, 1];
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(q * (sorted.length - 1))))];
  let low = sorted[0], high = sorted.at(-1);
  if (robust && sorted.length > 20) high = Math.min(high, at(0.9) + 2 * (at(0.9) - at(0.1)));
  if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5];
  const air = 0.04 * (high - low);
  return [low - air, high + air];
}

/** Draw lines `{name, points: [[x, y]], colour, faint}`; a pointer on the chart reads the values off. */
export function chart(lines, { width: WIDTH = FULL, height = 220, says = "", plain = false, xname = "", robust = false } = {}) {
  const drawn = lines.filter((l) => l.points.length);
  const longest = Math.max(6, ...drawn.map((l) => `${l.name} ${number(l.points.at(-1)[1])}`.length));
  const left = plain ? 8 : 52, right = plain ? 8 : 18 + 7.2 * longest, top = 8, bottom = plain ? 8 : 26;
  const xs = drawn.flatMap((l) => l.points.map((p) => Number(p[0])));
  const [x0, x1] = xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
  const [y0, y1] = range(drawn.flatMap((l) => l.points.map((p) => p[1])), robust);
  const X = (x) => left + ((Number(x) - x0) / (x1 - x0 || 1)) * (WIDTH - left - right);
  const Y = (y) => top + (1 - (Math.min(Math.max(y, y0), y1) - y0) / (y1 - y0)) * (height - top - bottom);
  const path = (points) => points.filter((p) => Number.isFinite(p[1])).map((p, i) => `${i ? "L" : "M"}${X(p[0]).toFixed(1)},${Y(p[1]).toFixed(1)}`).join("");
  const axes = plain ? [] : [
    ...ticks(y0, y1, 4).map((v) => [h("line", { class: "hair", x1: left, x2: WIDTH - right, y1: Y(v), y2: Y(v) }),
      h("text", { class: "tick", x: left - 8, y: Y(v) + 4, "text-anchor": "end" }, number(v, 3))]),
    ...ticks(x0, x1, WIDTH < 500 ? 3 : 5).filter((v) => v >= x0 && v <= x1).map((v) => h("text", { class: "tick", x: X(v), y: height - 6, "text-anchor": "middle" }, number(v, 3))),
    h("text", { class: "tick", x: WIDTH - right + 22, y: height - 6 }, xname),
  ];
  const svg = h("svg", { class: "lines", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": says },
    axes, drawn.map((l) => [
      h("path", { d: path(l.points), style: { stroke: l.colour }, class: l.faint ? "line faint" : "line" }),
      l.points.length === 1 && h("circle", { cx: X(l.points[0][0]), cy: Y(l.points[0][1]), r: 2.5, style: { fill: l.colour } }),
    ]), plain ? [] : ends(drawn, Y, height - bottom).map(({ line, y, value }) => h("text", { class: "end", x: WIDTH - right + 10, y, style: { fill: line.colour } }, `${line.name} ${number(value, 4)}`)));
  if (!plain) reading(svg, drawn, { x0, x1, left, right, X, WIDTH });
  return svg;
}

/** Names at the ends of lines, moved apart where they would lie on each other. */
function ends(lines, Y, bottom) {
  const found = lines.filter((l) => l.name && !l.faint).map((line) => ({ line, value: line.points.at(-1)[1] })).filter((e) => Number.isFinite(e.value));
  found.forEach((e) => (e.y = Y(e.value) + 4));
  found.sort((a, b) => a.y - b.y);
  for (let i = 1; i < found.length; i++) found[i].y = Math.max(found[i].y, found[i - 1].y + 15);
  const over = (found.at(-1)?.y ?? 0) - bottom;
  if (over > 0) found.forEach((e) => (e.y -= over));
  return found;
}

function reading(svg, lines, { x0, x1, left, right, X, WIDTH }) {
  const rule = h("line", { class: "rule", y1: 0, y2: svg.viewBox.baseVal.height });
  const words = h("text", { class: "end read", y: 12 });
  svg.addEventListener("pointermove", (e) => {
    const box = svg.getBoundingClientRect();
    const x = x0 + (((e.clientX - box.left) / box.width) * WIDTH - left) / (WIDTH - left - right) * (x1 - x0);
    if (x < x0 || x > x1) return svg.classList.remove("reads");
    const near = (l) => l.points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
    const at = near(lines[0] ?? { points: [[x, 0]] })[0];
    rule.setAttribute("x1", X(at));
    rule.setAttribute("x2", X(at));
    words.setAttribute("x", Math.min(X(at) + 8, WIDTH - right - 150));
    words.textContent = `${number(at)}: ${lines.map((l) => `${l.name} ${number(near(l)[1])}`).join(" · ")}`;
    svg.classList.add("reads");
  });
  svg.addEventListener("pointerleave", () => svg.classList.remove("reads"));
  svg.append(rule, words);
}

/** Bars of a histogram, `{edges, counts}`, with a line at `mark`; bars beyond it have the colour of a warning. */
export function bars(counts, low, high, mark, { width: WIDTH = FULL, height = 150, says = "" } = {}) {
  const most = Math.max(1, ...counts), left = 8, bottom = 22, wide = (WIDTH - 16) / counts.length;
  const X = (v) => left + ((v - low) / (high - low || 1)) * (WIDTH - 16);
  const svg = h("svg", { class: "lines", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": says });
  counts.forEach((n, i) => {
    const tall = n ? Math.max(1.5, (Math.sqrt(n / most)) * (height - bottom - 6)) : 0;
    const beyond = low + ((i + 0.5) / counts.length) * (high - low) >= mark;
    svg.append(h("rect", { class: beyond ? "column beyond" : "column", x: left + i * wide, width: Math.max(1, wide - 1), y: height - bottom - tall, height: tall }));
  });
  for (const v of ticks(low, high, 6)) if (v >= low && v <= high) svg.append(h("text", { class: "tick", x: X(v), y: height - 5, "text-anchor": "middle" }, number(v, 3)));
  const at = Math.min(Math.max(X(mark), left), WIDTH - left);
  svg.append(h("line", { class: "threshold", x1: at, x2: at, y1: 0, y2: height - bottom }));
  return svg;
}
