// The training page: the runs there are, and the curves of one of them, live
// while it goes on.

import { records, runs } from "./api.js";
import { Chart } from "./chart.js";
import { el, icon } from "./dom.js";
import { ago, count, percent, seconds, short, value } from "./format.js";

const every = 1_000;   // ms between looks at a running run
const calm = 5_000;    // ms between looks at the list, and at a run that rests
const recent = 30;     // steps that the ETA is worked out from
const points = 6_000;  // steps that a long run is thinned to

// What is drawn: the charts, and the fields of a record they show.
const plots = [
  { title: "Loss", unit: "nats per token", series: [{ key: "loss", label: "training" }, { key: "held", label: "held out", dots: true }] },
  { title: "Held-out bits per byte", series: [{ key: "bpb", label: "bpb", dots: true }], format: (v) => v.toFixed(3) },
  { title: "Learning rate", series: [{ key: "lr", label: "lr", exact: true }] },
  { title: "Gradient norm", series: [{ key: "grad_norm", label: "norm" }] },
  { title: "Speed", unit: "tokens per second", series: [{ key: "tok_s", label: "tokens/s" }] },
  { title: "Model FLOP utilisation", series: [{ key: "mfu", label: "MFU" }], format: percent, tick: percent },
];

export class TrainingView {
  constructor(root, go) {
    Object.assign(this, { root, go, id: "", list: [], steps: [], evals: [], next: 0, state: "", axis: "step", shown: false });
    this.charts = plots.map((p) => new Chart({ ...p, onhover: (x) => this.hover(x) }));
    this.side = el("nav", { class: "runs", "aria-label": "Training runs" });
    this.head = el("header", { class: "run-head" });
    this.tiles = el("div", { class: "tiles" });
    this.note = el("div");
    this.detail = el("div", { class: "run" }, this.head, this.note, this.tiles, this.controls(), el("div", { class: "charts" }, this.charts.map((c) => c.root)));
    this.root.append(el("div", { class: "page wide training" }, this.side, this.detail));
  }

  controls() {
    const axis = ["step", "tokens"].map((name) => el("button", { type: "button", "aria-pressed": String(name === this.axis), onclick: (e) => {
      this.axis = name;
      for (const b of e.target.parentNode.children) b.setAttribute("aria-pressed", String(b === e.target));
      this.draw();
    } }, name === "step" ? "Steps" : "Tokens"));
    const check = (label, on, fn) => {
      const box = el("input", { type: "checkbox", onchange: () => { fn(box.checked); this.draw(); } });
      box.checked = on;
      fn(on);
      return el("label", { class: "check" }, box, label);
    };
    this.bar = el("div", { class: "row controls" }, el("div", { class: "segments", role: "group", "aria-label": "Horizontal axis" }, axis),
      check("Log scale", false, (on) => { for (const c of this.charts) c.log = on; }),
      check("Smooth", true, (on) => { for (const c of this.charts) c.smooth = on; }));
    return this.bar;
  }

  // show opens the page; no id is the newest run.
  show(id) {
    this.hide();
    this.shown = true;
    this.asked = id;
    this.root.classList.toggle("one", id !== "");
    this.abort = new AbortController();
    this.lookAtList();
  }

  hide() {
    this.shown = false;
    clearTimeout(this.listTimer);
    clearTimeout(this.timer);
    this.abort?.abort();
  }

  async lookAtList() {
    clearTimeout(this.listTimer);
    const { signal } = this.abort;
    try {
      this.list = await runs(signal);
      this.problem(this.list.length ? null : "No runs yet. Begin one, for example with: weft train notes.txt");
    } catch (err) {
      if (err.name === "AbortError") return;
      this.list = [];
      this.problem(err.status === 404 ? "This server shows no training runs." : err.status === 401 ? "This server wants its API key: enter it in the settings of the chat." : err.message);
    }
    if (signal.aborted) return;
    this.drawList();
    const want = this.asked || this.list[0]?.id || "";
    if (want !== this.id || !this.steps.length) this.select(want);
    else if (!this.timer) this.look();
    this.drawHead();
    this.listTimer = setTimeout(() => this.lookAtList(), calm);
  }

  problem(text) {
    this.note.replaceChildren(...(text ? [el("p", { class: "problem", role: "status", text })] : []));
  }

  select(id) {
    clearTimeout(this.timer);
    Object.assign(this, { id, steps: [], evals: [], next: 0, state: "", timer: 0 });
    this.drawList();
    this.draw();
    if (id) this.look();
  }

  // look takes what is new in the run's records and draws it.
  async look() {
    clearTimeout(this.timer);
    const { id } = this, { signal } = this.abort;
    this.timer = -1; // in flight
    try {
      const more = await records(id, this.next, points, signal);
      if (id !== this.id) return;
      if (more.next < this.next) Object.assign(this, { steps: [], evals: [], next: 0 }); // the run went back to a checkpoint
      else {
        for (const r of more.records) this.take(r);
        this.next = more.next;
      }
      this.state = more.state;
      if (more.records.length) this.draw();
      else this.drawHead();
      this.plan(more.more || this.next === 0 ? 0 : more.state === "running" ? every : calm);
    } catch (err) {
      if (err.name === "AbortError" || id !== this.id) return;
      this.problem(err.status === 404 ? `The run ${id} is not there.` : err.message);
      this.plan(calm);
    }
  }

  plan(wait) {
    this.timer = setTimeout(() => (document.hidden ? this.plan(every) : this.look()), wait);
  }

  take(r) {
    if (r.kind === "step") this.steps.push(r);
    if (r.kind === "eval") this.evals.push({ ...r, held: r.loss });
  }

  // ---- drawing

  drawList() {
    this.side.replaceChildren(el("h2", { text: "Runs" }), el("ul", {}, this.list.map((r) => {
      const bar = el("i");
      bar.style.width = (r.steps ? Math.min(100, (100 * r.step) / r.steps) : 0) + "%";
      return el("li", {}, el("a", { href: "#/training/" + r.id.split("/").map(encodeURIComponent).join("/"), "aria-current": r.id === this.id && "true" },
        el("span", { class: "run-name" }, el("b", { text: r.name || r.id }), state(r.state)),
        el("span", { class: "soft", text: [{ pretrain: "pretraining", sft: "fine-tuning" }[r.kind] ?? r.kind, r.steps ? `${count(r.step)} of ${count(r.steps)} steps` : "", ago(r.updated)].filter(Boolean).join(" · ") }),
        r.damage ? el("span", { class: "bad", text: r.damage }) : el("span", { class: "meter" }, bar)));
    })));
  }

  draw() {
    const at = this.axis === "tokens" ? tokensAt(this.steps) : (r) => r.step;
    const ends = [this.steps[0], this.steps.at(-1), this.evals[0], this.evals.at(-1)].filter(Boolean).map(at);
    const domain = ends.length ? [Math.min(...ends), Math.max(...ends)] : null;
    for (const [i, plot] of plots.entries()) {
      this.charts[i].domain = domain;
      for (const { key } of plot.series) {
        const from = (key === "held" || key === "bpb" ? this.evals : this.steps).filter((r) => r[key] !== undefined);
        this.charts[i].set(key, { x: from.map(at), y: from.map((r) => r[key]) });
      }
      this.charts[i].draw();
    }
    this.bar.hidden = !this.steps.length && !this.evals.length;
    this.drawHead();
  }

  drawHead() {
    const run = this.list.find((r) => r.id === this.id), last = this.steps.at(-1), held = this.evals.filter((r) => r.bpb !== undefined).at(-1);
    this.detail.classList.toggle("nothing", !run);
    if (!run) {
      this.head.replaceChildren();
      this.tiles.replaceChildren();
      return;
    }
    const now = this.state || run.state, step = Math.max(run.step, last?.step ?? 0);
    this.head.replaceChildren(el("a", { class: "back", href: "#/training" }, icon("left"), "All runs"), el("h2", { text: run.name || run.id }), state(now),
      el("span", { class: "soft eta", text: now === "running" ? eta(this.steps, run.steps) : "updated " + ago(run.updated) }));
    const tiles = [["Step", run.steps ? `${count(step)} / ${count(run.steps)}` : count(step)]];
    if (last) tiles.push(["Loss", value(last.loss ?? 0)]);
    if (held) tiles.push(["Held-out bpb", held.bpb.toFixed(3)]);
    if (last?.tokens) tiles.push(["Tokens", short(last.tokens)]);
    if (last?.tok_s) tiles.push(["Tokens/s", count(Math.round(last.tok_s))]);
    if (last?.mfu) tiles.push(["MFU", percent(last.mfu)]);
    if (last) tiles.push(["Trained for", seconds(last.seconds)]);
    this.tiles.replaceChildren(...tiles.map(([k, v]) => el("div", { class: "tile" }, el("span", { text: k }), el("b", { text: v }))));
  }

  hover(x) {
    for (const c of this.charts) c.mark(x);
  }
}

const state = (s) => el("span", { class: "state " + s, text: s });

// tokensAt gives a record's place in tokens; records without a count take that
// of the last step before them.
function tokensAt(steps) {
  return (r) => {
    if (r.tokens) return r.tokens;
    let lo = 0, hi = steps.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (steps[mid].step <= r.step) lo = mid + 1; else hi = mid;
    }
    return steps[lo - 1]?.tokens ?? 0;
  };
}

// eta goes by the speed of the last steps.
function eta(steps, planned) {
  const last = steps.at(-1), first = steps.at(-1 - Math.min(recent, steps.length - 1));
  if (!last || !planned || last.step >= planned || last.step === first.step) return "";
  return "about " + seconds(((planned - last.step) * (last.seconds - first.seconds)) / (last.step - first.step)) + " to go";
}
