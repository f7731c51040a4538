// Very many points on a canvas, without WebGL: typed arrays are written straight into the pixels, so that a hundred
// thousand points move with the pointer wherever a browser runs.

/** Where numbers of the plane lie on the canvas: `scale` pixels a unit, `cx, cy` in the middle; y grows upwards. */
export class Window2 {
  constructor() {
    Object.assign(this, { cx: 0, cy: 0, scale: 1, width: 1, height: 1 });
  }

  fit(box, air = 0.06) {
    const [x0, x1, y0, y1] = box;
    this.cx = (x0 + x1) / 2;
    this.cy = (y0 + y1) / 2;
    const wide = Math.max(x1 - x0, 1e-9), tall = Math.max(y1 - y0, 1e-9);
    this.scale = (1 - 2 * air) * Math.min(this.width / wide, this.height / tall);
  }

  toScreen(x, y) {
    return [(x - this.cx) * this.scale + this.width / 2, this.height / 2 - (y - this.cy) * this.scale];
  }

  toPlane(px, py) {
    return [(px - this.width / 2) / this.scale + this.cx, (this.height / 2 - py) / this.scale + this.cy];
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toPlane(px, py);
    this.scale = Math.min(Math.max(this.scale * factor, 1e-6), 1e9);
    this.cx = x - (px - this.width / 2) / this.scale;
    this.cy = y + (py - this.height / 2) / this.scale;
  }

  pan(dx, dy) {
    this.cx -= dx / this.scale;
    this.cy += dy / this.scale;
  }
}

/** A disc of coverage 0 to 255, side × side, for points of a radius in pixels of the screen. */
export function stamp(radius) {
  const half = Math.ceil(radius), side = 2 * half + 1, found = new Uint8Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const far = Math.hypot(x - half, y - half);
      found[y * side + x] = Math.round(255 * Math.min(1, Math.max(0, radius + 0.5 - far)));
    }
  }
  return { cover: found, side, half };
}

/** `#rrggbb` or `rgb(…)` as a number 0xBBGGRR, as pixels lie in memory. */
export function packed(colour) {
  const hex = colour.trim();
  if (hex.startsWith("#")) return (parseInt(hex.slice(5, 7), 16) << 16) | (parseInt(hex.slice(3, 5), 16) << 8) | parseInt(hex.slice(1, 3), 16);
  const [r, g, b] = (hex.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  return (b << 16) | (g << 8) | r;
}

const MANY = 20000;
/** Halfway between two colours, all channels at once. */
const half = (a, b) => (a & b) + (((a ^ b) & 0xfefefefe) >>> 1);

export class Cloud {
  constructor(canvas) {
    this.canvas = canvas;
    this.window = new Window2();
    this.xy = new Float32Array(0);
    this.shade = new Uint8Array(0);
    this.palette = new Uint32Array(256);
    this.strength = new Uint8Array(256).fill(255);
    this.picked = null;
    this.box = [-1, 1, -1, 1];
    this.drawn = 0;
  }

  get n() {
    return this.xy.length / 2;
  }

  setPoints(xy) {
    this.xy = xy;
    const some = Math.max(1, Math.floor(this.n / 20000)), xs = [], ys = [];
    for (let i = 0; i < this.n; i += some) {
      xs.push(xy[2 * i]);
      ys.push(xy[2 * i + 1]);
    }
    const at = (v, q) => v.sort((a, b) => a - b)[Math.min(v.length - 1, Math.floor(q * v.length))] ?? 0;
    this.box = [at(xs, 0.002), at(xs, 0.998), at(ys, 0.002), at(ys, 0.998)];
    if (this.shade.length !== this.n) this.shade = new Uint8Array(this.n);
    this.cells = null;
  }

  /** Take the size of the element; whether it changed. */
  resize() {
    const ratio = Math.min(devicePixelRatio || 1, 2), { width, height } = this.canvas.getBoundingClientRect();
    const w = Math.max(1, Math.round(width * ratio)), hh = Math.max(1, Math.round(height * ratio));
    if (this.image && w === this.canvas.width && hh === this.canvas.height) return false;
    Object.assign(this.canvas, { width: w, height: hh });
    this.ratio = ratio;
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.image = this.context.createImageData(w, hh);
    this.pixels = new Uint32Array(this.image.data.buffer);
    Object.assign(this.window, { width, height });
    return true;
  }

  /** Draw all points; what is picked stands out, the rest steps back. Of many points in sight each is five pixels. */
  draw(paper) {
    if (!this.image) return;
    this.pixels.fill(0xff000000 | paper);
    const seen = this.inSight(), many = seen > MANY;
    const near = Math.min(2, Math.max(1, Math.sqrt(this.window.scale / (this.first ?? this.window.scale))));
    const point = stamp(Math.min((seen > 8000 ? 1.4 : seen > 1500 ? 2.2 : 3) * this.ratio * near, 9));
    const layer = (alpha, which) => (many ? this.dots(seen, alpha > 128, which) : this.splat(seen, point, alpha, which));
    if (!this.picked) layer(seen > 8000 ? 185 : 215, -1);
    else {
      layer(34, 0);
      layer(235, 1);
    }
    this.context.putImageData(this.image, 0, 0);
    this.drawn++;
  }

  /** Find the points in the window and where they lie in the pixels; how many there are. */
  inSight() {
    const { xy, n } = this, W = this.canvas.width, H = this.canvas.height, air = 20;
    if (!this.which || this.which.length !== n) Object.assign(this, { which: new Int32Array(n), px: new Int32Array(n), py: new Int32Array(n) });
    const { which, px, py } = this, s = this.window.scale * this.ratio;
    const ox = W / 2 - this.window.cx * s + 0.5, oy = H / 2 + this.window.cy * s + 0.5;
    let seen = 0;
    for (let i = 0; i < n; i++) {
      const x = xy[2 * i] * s + ox, y = oy - xy[2 * i + 1] * s;
      if (x < -air || y < -air || x > W + air || y > H + air) continue;
      which[seen] = i;
      px[seen] = x | 0;
      py[seen++] = y | 0;
    }
    return seen;
  }

  /** A dot of five pixels for each point: the middle in its colour, the others half of it. */
  dots(seen, strong, picked) {
    const { pixels, shade, which, px, py } = this, W = this.canvas.width, H = this.canvas.height;
    const colours = Uint32Array.from(this.palette, (c) => (0xff000000 | c) >>> 0);
    for (let k = 0; k < seen; k++) {
      const i = which[k], x = px[k], y = py[k];
      if (x < 1 || y < 1 || x > W - 2 || y > H - 2 || (picked >= 0 && this.picked[i] !== picked)) continue;
      const c = colours[shade[i]], at = y * W + x;
      if (!strong) {
        pixels[at] = half(pixels[at], half(pixels[at], c));
        continue;
      }
      pixels[at] = c;
      pixels[at - 1] = half(pixels[at - 1], c);
      pixels[at + 1] = half(pixels[at + 1], c);
      pixels[at - W] = half(pixels[at - W], c);
      pixels[at + W] = half(pixels[at + W], c);
    }
  }

  /** A smooth disc for each point. */
  splat(seen, { cover, side, half: middle }, alpha, picked) {
    const { pixels, shade, palette, strength, which, px, py } = this, W = this.canvas.width, H = this.canvas.height;
    for (let p = 0; p < seen; p++) {
      const i = which[p], left = px[p] - middle, top = py[p] - middle;
      if (picked >= 0 && this.picked[i] !== picked) continue;
      if (left < 0 || top < 0 || left + side > W || top + side > H) continue;
      const colour = palette[shade[i]], r = colour & 255, g = (colour >> 8) & 255, b = (colour >> 16) & 255;
      const much = (alpha * strength[shade[i]]) >> 8;
      for (let y = 0, k = 0; y < side; y++) {
        let at = (top + y) * W + left;
        for (let x = 0; x < side; x++, k++, at++) {
          const a = (cover[k] * much) >> 8;
          if (a === 0) continue;
          const old = pixels[at], keep = 256 - a;
          pixels[at] = 0xff000000 | (((((old >> 16) & 255) * keep + b * a) >> 8) << 16) | (((((old >> 8) & 255) * keep + g * a) >> 8) << 8) | (((old & 255) * keep + r * a) >> 8);
        }
      }
    }
  }

  // --- what lies where -----------------------------------------------------------------------------------------------
  /** Sort points into cells once, so that the nearest is found among few. */
  sorted() {
    if (this.cells) return this.cells;
    const [x0, x1, y0, y1] = this.box, side = Math.max(1, Math.min(256, Math.round(Math.sqrt(this.n / 4))));
    const cell = (v, a, b) => Math.min(side - 1, Math.max(0, Math.floor(((v - a) / (b - a || 1)) * side)));
    const of = new Int32Array(this.n), starts = new Int32Array(side * side + 1);
    for (let i = 0; i < this.n; i++) {
      of[i] = cell(this.xy[2 * i + 1], y0, y1) * side + cell(this.xy[2 * i], x0, x1);
      starts[of[i] + 1]++;
    }
    for (let c = 0; c < side * side; c++) starts[c + 1] += starts[c];
    const next = starts.slice(), order = new Int32Array(this.n);
    for (let i = 0; i < this.n; i++) order[next[of[i]]++] = i;
    this.cells = { side, starts, order, cell, box: this.box };
    return this.cells;
  }

  /** The point nearest to a place of the screen, at most so many pixels away; -1 where there is none. */
  nearest(px, py, most = 14) {
    if (!this.n) return -1;
    const { side, starts, order, cell, box: [x0, x1, y0, y1] } = this.sorted();
    const [x, y] = this.window.toPlane(px, py), reach = most / this.window.scale;
    const a = cell(x - reach, x0, x1), b = cell(x + reach, x0, x1), c = cell(y - reach, y0, y1), d = cell(y + reach, y0, y1);
    let best = -1, least = reach * reach;
    for (let row = c; row <= d; row++) {
      for (let k = starts[row * side + a]; k < starts[row * side + b + 1]; k++) {
        const i = order[k], far = (this.xy[2 * i] - x) ** 2 + (this.xy[2 * i + 1] - y) ** 2;
        if (far < least) [best, least] = [i, far];
      }
    }
    return best;
  }

  /** Points inside a polygon of places of the plane, as a mask and a number. */
  inside(polygon) {
    const mask = new Uint8Array(this.n), m = polygon.length;
    const xs = polygon.map((p) => p[0]), ys = polygon.map((p) => p[1]);
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    let found = 0;
    for (let i = 0; i < this.n; i++) {
      const x = this.xy[2 * i], y = this.xy[2 * i + 1];
      if (x < x0 || x > x1 || y < y0 || y > y1) continue;
      let odd = 0;
      for (let a = 0, b = m - 1; a < m; b = a++) {
        if (ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd ^= 1;
      }
      mask[i] = odd;
      found += odd;
    }
    return { mask, found };
  }
}
