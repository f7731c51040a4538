// Pointer and keys on the map: pan, zoom, lasso, and a cursor for people who use the keyboard.

import { colourOf } from "./colour.js";
import { say } from "./dom.js";
import { setMode } from "./map.js";
import { valueOf } from "./colour.js";
import { t } from "./words.js";

const STEP = 12;

export function pointing(state, tell) {
  const { canvas, over } = state.ui, { cloud } = state, window_ = cloud.window;
  let held = null, lasso = [], queued = false;

  const soon = (also) => {
    if (also) also();
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      tell.draw();
    });
  };

  /** Lasso, cursor and the row that is looked at, on a canvas of their own. */
  state.overlay = () => {
    const ratio = cloud.ratio ?? 1;
    if (over.width !== canvas.width || over.height !== canvas.height) Object.assign(over, { width: canvas.width, height: canvas.height });
    const pen = over.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, over.width, over.height);
    pen.strokeStyle = colourOf("--ink");
    if (lasso.length > 1) {
      pen.setLineDash([4, 3]);
      pen.beginPath();
      lasso.forEach((p, i) => pen[i ? "lineTo" : "moveTo"](...window_.toScreen(...p)));
      pen.closePath();
      pen.stroke();
      pen.setLineDash([]);
    }
    if (state.at >= 0) ring(pen, ...window_.toScreen(cloud.xy[2 * state.at], cloud.xy[2 * state.at + 1]));
    if (state.byKeys && state.cursor) cross(pen, ...state.cursor);
  };

  const move = (x, y) => {
    state.cursor = [x, y];
    const near = cloud.nearest(x, y);
    if (near >= 0) state.at = near;
    tell.moved();
  };

  const place = (e) => {
    const box = canvas.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  };

  const on = {
    pointerdown(e) {
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(e.pointerId);
      held = place(e);
      state.byKeys = false;
      if (state.mode === "lasso" || e.shiftKey) lasso = [window_.toPlane(...held)];
      else lasso = [];
    },
    pointermove(e) {
      const [x, y] = place(e);
      if (held && lasso.length) lasso.push(window_.toPlane(x, y));
      else if (held) {
        window_.pan(x - held[0], y - held[1]);
        held = [x, y];
      }
      if (!held || lasso.length) move(x, y);
      soon();
    },
    pointerup() {
      if (lasso.length > 2) choose(lasso);
      held = null;
      lasso = [];
      soon();
    },
    pointercancel() {
      held = null;
      lasso = [];
    },
    wheel(e) {
      e.preventDefault();
      window_.zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.03 : 0.0015)), ...place(e));
      soon();
    },
    keydown(e) {
      if (e.altKey || e.ctrlKey || e.metaKey) return;
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
      if (way && e.shiftKey) window_.pan(-way[0] * 3 * STEP, -way[1] * 3 * STEP);
      else if (way) byKeys(way);
      else if (e.key === "+" || e.key === "=") window_.zoom(1.25, ...(state.cursor ?? []));
      else if (e.key === "-") window_.zoom(0.8, ...(state.cursor ?? []));
      else if (e.key === "0") window_.fit(cloud.box);
      else if (e.key.toLowerCase() === "l") setMode(state, state.mode === "lasso" ? "pan" : "lasso");
      else if (e.key.toLowerCase() === "a") visible();
      else if (e.key === "Enter" && state.at >= 0) say(told());
      else if (e.key === "Escape" && (cloud.picked || lasso.length)) {
        cloud.picked = null;
        lasso = [];
        tell.picked();
      } else return;
      e.preventDefault();
      soon();
    },
  };

  function byKeys([dx, dy]) {
    state.byKeys = true;
    const [x, y] = state.cursor ?? [window_.width / 2, window_.height / 2];
    move(Math.min(Math.max(x + dx * STEP, 0), window_.width), Math.min(Math.max(y + dy * STEP, 0), window_.height));
    clearTimeout(byKeys.timer);
    byKeys.timer = setTimeout(() => state.at >= 0 && say(told()), 350);
  }

  const told = () => `${t("row.n", { n: state.numbers[state.at] })}. ${state.colouring.name}: ${valueOf(state.colouring, state.codes[state.at])}`;

  function choose(polygon) {
    const { mask, found } = cloud.inside(polygon);
    cloud.picked = found ? mask : null;
    tell.picked();
  }

  /** All rows in the window: the lasso of the keyboard. */
  function visible() {
    const a = window_.toPlane(0, 0), b = window_.toPlane(window_.width, window_.height);
    choose([a, [b[0], a[1]], b, [a[0], b[1]]]);
  }

  for (const [name, f] of Object.entries(on)) canvas.addEventListener(name, f, { passive: false });
  return () => clearTimeout(byKeys.timer);
}

function ring(pen, x, y) {
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.arc(x, y, 7, 0, 2 * Math.PI);
  pen.stroke();
}

function cross(pen, x, y) {
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(x - 10, y);
  pen.lineTo(x + 10, y);
  pen.moveTo(x, y - 10);
  pen.lineTo(x, y + 10);
  pen.stroke();
}
