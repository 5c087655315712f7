// A line chart in SVG: linear or logarithmic, with a crosshair that several
// charts share. Data: {x: [numbers], y: [numbers]} per series, x ascending.

import { el, svg } from "./dom.js";
import { value } from "./format.js";

const pad = { left: 52, right: 20, top: 10, bottom: 24 }; // px
const height = 190;                                       // px

export class Chart {
  // series: [{key, label, dots, exact}], drawn in the colours --s0, --s1; dots
  // are few points, exact is never smoothed. onhover gets the x under the
  // pointer, or null. format writes a value, tick one at the axis.
  constructor({ title, unit = "", series, onhover, format = value, tick = value }) {
    Object.assign(this, { title, unit, series, onhover, format, tick, log: false, data: new Map(), smooth: false, domain: null, cursor: null });
    this.readout = el("span", { class: "readout" });
    this.svg = svg("svg", { class: "plot", height, role: "img", tabindex: 0 });
    this.root = el("figure", { class: "chart" },
      el("figcaption", {}, el("b", { text: title }), unit && el("span", { class: "soft", text: " " + unit }), this.readout), this.svg);
    this.svg.addEventListener("pointermove", (e) => this.point(e));
    this.svg.addEventListener("pointerdown", (e) => this.point(e));
    this.svg.addEventListener("pointerleave", () => this.onhover(null));
    this.svg.addEventListener("blur", () => this.onhover(null));
    this.svg.addEventListener("keydown", (e) => this.keys(e));
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  // set gives a series its points. domain is the x range to draw, which
  // several charts may share; null: that of the points.
  set(key, points) { this.data.set(key, points); }

  get empty() { return [...this.data.values()].every((p) => p.x.length === 0); }

  draw() {
    this.root.hidden = this.empty;
    const width = (this.width = this.svg.getBoundingClientRect().width); // as the style sheet has it
    if (!width || this.empty) return;
    this.lines = this.series.map((s, i) => ({ ...s, i, ...(this.data.get(s.key) ?? { x: [], y: [] }) })).filter((l) => l.x.length);
    if (this.log) this.lines = this.lines.map(positive).filter((l) => l.x.length);
    for (const l of this.lines) if (this.smooth && !l.dots && !l.exact && l.y.length > 3) l.mean = average(l.y, 1 - 1 / Math.max(10, l.y.length / 100));
    const xs = this.domain ?? this.lines.flatMap((l) => [l.x[0], l.x.at(-1)]), ys = this.lines.flatMap((l) => extent(l.mean && l.y.length > 20 ? clipped(l.y) : l.y));
    if (!this.lines.length) {
      this.svg.replaceChildren(svg("text", { x: pad.left, y: height / 2 }, "Nothing above zero to draw"));
      return;
    }
    this.x = scale(Math.min(...xs), Math.max(...xs), pad.left, width - pad.right, false);
    this.y = scale(Math.min(...ys), Math.max(...ys), height - pad.bottom, pad.top, this.log, true);
    this.cross = svg("g", { class: "cross" });
    this.svg.replaceChildren(this.grid(), ...this.lines.map((l) => this.line(l)), this.cross);
    this.svg.setAttribute("aria-label", `${this.title}: ` + this.lines.map((l) => `${l.label} from ${this.format(l.y[0])} to ${this.format(l.y.at(-1))}`).join(", ") + ". Arrow keys read values.");
    this.mark(this.cursor);
  }

  grid() {
    const g = svg("g", { class: "grid" });
    for (const v of this.y.ticks(5)) {
      const y = this.y.at(v);
      g.append(svg("line", { x1: pad.left, x2: this.width - pad.right, y1: y, y2: y }), svg("text", { x: pad.left - 8, y: y + 4, "text-anchor": "end" }, this.tick(v)));
    }
    for (const v of this.x.ticks(Math.max(2, Math.floor(this.width / 80)))) {
      g.append(svg("text", { x: this.x.at(v), y: height - 6, "text-anchor": "middle" }, value(v)));
    }
    return g;
  }

  line(l) {
    const g = svg("g", { class: "series s" + l.i });
    if (l.dots) {
      g.append(svg("path", { class: "thin", d: this.path(l.x, l.y) }));
      if (l.x.length <= 200) l.x.forEach((x, i) => g.append(svg("circle", { cx: this.x.at(x), cy: this.y.at(l.y[i]), r: 3 })));
      return g;
    }
    g.append(svg("path", { class: l.mean ? "faint" : "", d: this.path(l.x, l.y) }));
    if (l.mean) g.append(svg("path", { d: this.path(l.x, l.mean) }));
    return g;
  }

  // path keeps the least and the greatest value of every pixel column.
  path(x, y) {
    const columns = this.width - pad.left - pad.right;
    const pick = x.length > 4 * columns ? thin(x, y, (v) => Math.round(this.x.at(v))) : x.keys();
    const out = [], inside = (px) => Math.max(pad.top - 4, Math.min(height - pad.bottom + 4, px)); // a wild value leaves the plot
    for (const i of pick) out.push((out.length ? "L" : "M") + this.x.at(x[i]).toFixed(1) + " " + inside(this.y.at(y[i])).toFixed(1));
    return out.join("");
  }

  point(e) {
    const box = this.svg.getBoundingClientRect();
    this.onhover(this.x?.back(e.clientX - box.left) ?? null);
  }

  keys(e) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key], l = this.lines?.[0];
    if (e.key === "Escape") this.onhover(null);
    if (!step || !l) return;
    e.preventDefault();
    const jump = step * (e.shiftKey ? 10 : 1), at = this.cursor === null ? (step > 0 ? -1 : l.x.length) : nearest(l.x, this.cursor);
    this.onhover(l.x[Math.max(0, Math.min(l.x.length - 1, at + jump))]);
  }

  // mark puts the crosshair at an x, and the values there in the caption.
  mark(x) {
    this.cursor = x;
    if (!this.lines?.length || !this.cross) return;
    this.cross.replaceChildren();
    const say = [];
    for (const l of this.lines) {
      const i = x === null ? l.x.length - 1 : nearest(l.x, x), y = (l.mean ?? l.y)[i];
      say.push(el("span", { class: "key s" + l.i }, l.label + " ", el("b", { text: this.format(y) })));
      if (x !== null) this.cross.append(svg("circle", { class: "s" + l.i, cx: this.x.at(l.x[i]), cy: this.y.at(y), r: 4 }));
    }
    if (x !== null) {
      const px = this.x.at(this.lines[0].x[nearest(this.lines[0].x, x)]);
      this.cross.prepend(svg("line", { x1: px, x2: px, y1: pad.top, y2: height - pad.bottom }));
    }
    this.readout.replaceChildren(...say);
  }
}

// scale maps [from, to] to pixels; nice widens it a little.
function scale(from, to, a, b, log, nice) {
  const f = log ? Math.log10 : (v) => v, g = log ? (v) => 10 ** v : (v) => v;
  let lo = f(from), hi = f(to);
  if (lo === hi) [lo, hi] = log ? [lo - 0.1, hi + 0.1] : [lo - (Math.abs(lo) * 0.05 || 1), hi + (Math.abs(hi) * 0.05 || 1)];
  else if (nice) {
    const room = (hi - lo) * 0.06;
    const floor = !log && from >= 0 ? 0 : -Infinity; // what is never negative is not drawn so
    [lo, hi] = [Math.max(floor, lo - room), hi + room];
  }
  return {
    at: (v) => a + ((f(v) - lo) / (hi - lo)) * (b - a),
    back: (px) => Math.max(from, Math.min(to, g(lo + ((px - a) / (b - a)) * (hi - lo)))),
    ticks: (n) => (log ? logTicks(g(lo), g(hi), n) : linearTicks(lo, hi, n)),
  };
}

function linearTicks(lo, hi, n) {
  const rough = (hi - lo) / n, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough), out = [];
  for (let i = Math.ceil(lo / step); i * step <= hi + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)));
  return out;
}

function logTicks(lo, hi, n) {
  for (const steps of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const out = [];
    for (let e = Math.floor(Math.log10(lo)); e <= Math.log10(hi); e++) for (const s of steps) if (s * 10 ** e >= lo && s * 10 ** e <= hi) out.push(s * 10 ** e);
    if (out.length >= Math.min(n, 3)) return out;
  }
  return linearTicks(lo, hi, n);
}

function extent(y) {
  let lo = Infinity, hi = -Infinity;
  for (const v of y) { lo = Math.min(lo, v); hi = Math.max(hi, v); }
  return [lo, hi];
}

// clipped leaves out the few wildest values, which would flatten the rest.
function clipped(y) {
  const sorted = Float64Array.from(y).sort(), cut = Math.floor(y.length * 0.005);
  return [sorted[cut], sorted[y.length - 1 - cut]];
}

function positive(l) {
  const keep = [...l.y.keys()].filter((i) => l.y[i] > 0);
  return { ...l, x: keep.map((i) => l.x[i]), y: keep.map((i) => l.y[i]) };
}

// average is the mean of the exponential means from both sides, which unlike
// one of them does not lag.
function average(y, share) {
  const left = mean(y, share), right = mean(y.toReversed(), share).reverse();
  return left.map((v, i) => (v + right[i]) / 2);
}

// mean is the exponential mean, corrected for its start.
function mean(y, share) {
  const out = [];
  let sum = 0, weight = 0;
  for (const v of y) {
    sum = share * sum + (1 - share) * v;
    weight = share * weight + (1 - share);
    out.push(sum / weight);
  }
  return out;
}

function thin(x, y, column) {
  const out = [];
  for (let i = 0; i < x.length;) {
    const c = column(x[i]);
    let lo = i, hi = i;
    for (; i < x.length && column(x[i]) === c; i++) {
      if (y[i] < y[lo]) lo = i;
      if (y[i] > y[hi]) hi = i;
    }
    out.push(Math.min(lo, hi));
    if (lo !== hi) out.push(Math.max(lo, hi));
  }
  return out;
}

// nearest finds the index of the value closest to v by bisection.
function nearest(x, v) {
  let lo = 0, hi = x.length - 1;
  while (hi - lo > 1) {
    const mid = (lo + hi) >> 1;
    if (x[mid] < v) lo = mid; else hi = mid;
  }
  return Math.abs(x[lo] - v) <= Math.abs(x[hi] - v) ? lo : hi;
}
