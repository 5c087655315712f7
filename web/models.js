// The models page: what is loaded, what it takes, and what its engine does now.

import { models } from "./api.js";
import { copy, el, icon } from "./dom.js";
import { bytes, count, seconds, short } from "./format.js";
import { render } from "./markdown.js";

const every = 2_000; // ms between looks at the engines

export class ModelsView {
  // use(id) opens a chat with a model.
  constructor(root, { use }) {
    Object.assign(this, { root, use, timer: 0, cards: new Map() });
    this.list = el("div", { class: "cards" });
    this.memory = el("div", { class: "cache" });
    this.root.append(el("div", { class: "page" }, el("p", { class: "lead", text: "What this server has loaded, and what it is doing." }), this.memory, this.list, connect()));
  }

  show() {
    this.hide();
    this.look();
  }

  hide() {
    clearTimeout(this.timer);
    this.abort?.abort();
  }

  async look() {
    this.abort = new AbortController();
    try {
      this.draw(await models(this.abort.signal));
    } catch (err) {
      if (err.name === "AbortError") return;
      this.cards.clear();
      this.list.replaceChildren(el("p", { class: "problem", role: "alert", text: err.status === 401 ? "This server wants its API key: enter it in the settings of the chat." : err.message }));
    }
    this.timer = setTimeout(() => this.look(), document.hidden ? every * 10 : every);
  }

  // draw makes a card once and then moves its live figures only.
  draw(list) {
    const ids = list.map((m) => m.id).join("\n");
    if (ids !== this.ids || !this.cards.size) {
      this.ids = ids;
      this.cards = new Map(list.map((m) => [m.id, this.card(m)]));
      this.list.replaceChildren(...[...this.cards.values()].map((c) => c.root));
    }
    for (const m of list) {
      const card = this.cards.get(m.id);
      place(card.place, m.place);
      live(card.live, m.place && m.place.state !== "loaded" ? null : m.stats);
    }
    all(this.memory, list.memory);
  }

  card(m) {
    const box = el("div", { class: "live" }), where = el("p", { class: "place" });
    const facts = m.brief ? [["Context", m.context && count(m.context) + " tokens"]] : [
      ["Family", m.family], ["Parameters", m.parameters && short(m.parameters)], ["Memory of the weights", m.bytes && bytes(m.bytes)],
      ["Context", m.context && count(m.context) + " tokens"], ["Vocabulary", m.vocab && count(m.vocab) + " tokens"],
      ["Chat template", m.template || "none: it continues text"],
    ];
    const root = el("article", { class: "card model" },
      el("header", {}, el("h2", { text: m.id }), m.tiny && el("span", { class: "badge", text: "tiny" }), el("span", { class: "grow" }),
        el("button", { type: "button", class: "primary small", onclick: () => this.use(m.id) }, icon("chat"), "Chat")),
      m.tiny && el("p", { class: "plainly", text: "A tiny model, made for one small invented town. It knows that town and nothing of the rest of the world." }),
      el("dl", { class: "facts-grid" }, facts.filter(([, v]) => v).map(([k, v]) => el("div", {}, el("dt", { text: k }), el("dd", { text: v })))),
      where, box,
      m.brief && el("p", { class: "soft", text: "This server tells no more about its models." }),
      m.card && el("details", { class: "model-card", open: true }, el("summary", { text: "Model card" }), render(m.card)));
    return { root, place: where, live: box };
  }
}

// place says whether a model is in memory, and for how long.
function place(box, p) {
  box.hidden = !p;
  if (!p) return;
  const kind = { loaded: "finished", loading: "running", unloading: "running" }[p.state] ?? "";
  const more = { loaded: `takes ${bytes(p.bytes)} with its cache`, unloaded: `loaded when it is asked, then takes ${bytes(p.bytes)}` }[p.state];
  box.replaceChildren(el("span", { class: "state " + kind, text: p.state === "unloaded" ? "not loaded" : p.state }),
    more && el("span", { class: "soft", text: " · " + more }),
    p.unload_in_seconds !== null && el("span", { class: "soft", text: ` · unloads in ${seconds(p.unload_in_seconds)} if nobody asks` }),
    p.failed && el("span", { class: "bad", text: " · it could not be loaded: " + p.failed }));
}

// all shows how much of the memory for models is taken; nothing without a bound.
function all(box, memory) {
  box.hidden = !memory?.budget_bytes;
  if (box.hidden) return;
  const used = Math.min(100, (100 * memory.used_bytes) / memory.budget_bytes), bar = el("i");
  bar.style.width = used + "%";
  box.replaceChildren(el("p", {}, "Memory for models ", el("span", { class: "soft", text: `${bytes(memory.used_bytes)} of ${bytes(memory.budget_bytes)}` })),
    el("div", { class: "meter", role: "img", "aria-label": `${Math.round(used)}% of the memory for models is taken` }, bar));
}

// live shows the engine: what runs, what waits, and how full its cache is.
function live(box, s) {
  if (!s) {
    box.replaceChildren();
    return;
  }
  const used = s.pages_total ? (100 * s.pages_used) / s.pages_total : 0, bar = el("i");
  bar.style.width = used + "%";
  box.replaceChildren(
    el("div", { class: "tiles" }, [["Running", s.running], ["Waiting", s.waiting], ["Preemptions", s.preemptions]].map(([k, v]) =>
      el("div", { class: "tile" }, el("span", { text: k }), el("b", { text: count(v) })))),
    el("div", { class: "cache" }, el("p", {}, "Cache ", el("span", { class: "soft", text: `${count(s.pages_used)} of ${count(s.pages_total)} pages` })),
      el("div", { class: "meter", role: "img", "aria-label": `${Math.round(used)}% of the cache is used` }, bar)));
}

// connect is how other programs reach this server.
function connect() {
  const lines = `export OPENAI_BASE_URL=${location.origin}/v1\nexport OPENAI_API_KEY=weft`;
  const button = el("button", { type: "button", class: "small quiet", onclick: () => copy(lines, button) }, icon("copy"), "Copy");
  return el("section", { class: "card" }, el("h2", { text: "Use it from other programs" }),
    el("p", { class: "soft", text: "This server speaks the OpenAI API. Existing tools come here with two lines. Clients want some key; if the server has one of its own, it goes in the place of weft." }),
    el("figure", { class: "code" }, el("figcaption", {}, el("span", { text: "sh" }), button), el("pre", { tabindex: 0 }, el("code", { text: lines }))));
}
