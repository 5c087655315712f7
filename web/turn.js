// One message on the screen: what was thought, its text as prose or as tokens,
// its versions, what can be done with it, and what it cost.

import { copy, el, icon, iconButton } from "./dom.js";
import { count } from "./format.js";
import { View as Prose } from "./markdown.js";
import { prefs } from "./prefs.js";
import { View as Tokens } from "./tokens.js";
import { card, results } from "./tools.js";
import { siblings } from "./tree.js";

const fold = 4_000; // characters of a message shown before "show all"

export class Turn {
  // chat is the view that carries out what the buttons ask.
  constructor(conv, node, chat) {
    Object.assign(this, { conv, node, chat, editing: null });
    this.root = el("article", { class: "turn " + node.role, "data-id": node.id, "aria-label": { user: "You", assistant: "Model", tool: "Tool result" }[node.role] });
    this.draw();
  }

  get running() { return this.chat.isRunning(this.node); }

  // draw makes everything anew; grow is enough while text streams in.
  draw() {
    const { node } = this;
    this.root.classList.toggle("running", this.running);
    if (this.editing !== null) {
      this.root.replaceChildren(this.editor());
      return;
    }
    this.body = el("div", { class: "body" });
    this.facts = el("span", { class: "facts" });
    this.drawn = this.fresh();
    this.root.replaceChildren(...[this.thoughts(), this.body, this.calls(), this.problem(), this.foot()].filter(Boolean));
    this.grow();
    if (node.role === "assistant" && this.running && !node.content) this.body.classList.add("waiting");
  }

  // fresh picks how the text is drawn.
  fresh() {
    if (this.node.role !== "assistant") return { update: (text) => this.plain(text) };
    if (!prefs.colours || !this.node.tokens.length) {
      this.body.classList.add("prose");
      return new Prose(this.body);
    }
    const view = new Tokens(this.body);
    return { tokens: true, update: (text) => view.update(text, this.node.tokens) };
  }

  grow() {
    const { node } = this;
    if (node.role === "assistant" && prefs.colours && node.tokens.length && !this.drawn.tokens) {
      this.body.classList.remove("prose");
      this.body.replaceChildren();
      this.drawn = this.fresh();
    }
    if (node.content) this.body.classList.remove("waiting");
    if (this.thoughts() && !this.thought.isConnected) this.body.before(this.thought);
    this.drawn.update(node.content);
    this.facts.textContent = facts(node);
    if (this.running && node.calls?.length !== this.callsDrawn && !this.root.querySelector("form")) this.draw();
  }

  // thoughts is the section with the reasoning, null without any. It is the same
  // element for good, so that it stays open or closed, and is drawn when open.
  thoughts() {
    const { node } = this;
    if (!node.reasoning) return null;
    if (!this.thought) {
      const words = el("div", { class: "prose" }), view = new Prose(words);
      this.thought = el("details", { class: "thought", ontoggle: () => this.thoughts() }, el("summary"), words);
      this.think = (text) => view.update(text);
    }
    this.thought.firstChild.textContent = this.running && !node.content ? "Thinking…" : "Reasoning";
    if (this.thought.open) this.think(node.reasoning);
    return this.thought;
  }

  // plain shows words as they are; a very long text is folded, not cut.
  plain(text) {
    const name = this.node.role === "tool" && el("span", { class: "soft" }, icon("wrench"), (this.node.name || "tool") + " answered");
    const rest = text.length - fold;
    const words = el("div", { class: "words", text: rest > 0 ? text.slice(0, fold) + "…" : text });
    const more = rest > 0 && el("button", { type: "button", class: "small quiet", onclick: () => { words.textContent = text; more.remove(); } }, `Show all ${count(text.length)} characters`);
    this.body.replaceChildren(...[name, words, more].filter(Boolean));
  }

  calls() {
    const calls = this.node.calls ?? [];
    this.callsDrawn = calls.length;
    if (!calls.length) return null;
    const waits = !this.running && this.node.finish === "tool_calls" && this.chat.isLast(this.node);
    return el("div", { class: "calls" }, calls.map(card), waits && results(calls, (texts) => this.chat.answerCalls(this.node, texts)));
  }

  problem() {
    const { node } = this;
    if (!node.error || this.running) return null;
    return el("div", { class: "problem", role: "alert" }, el("p", { text: node.error }),
      el("div", { class: "row" },
        el("button", { type: "button", class: "small", onclick: () => this.chat.retry(node) }, icon("redo"), "Try again"),
        (node.content || node.reasoning) && el("span", { class: "soft", text: "What came so far is kept." })));
  }

  foot() {
    const { node, chat } = this, tools = [];
    const all = siblings(this.conv, node), at = all.indexOf(node);
    if (all.length > 1) {
      tools.push(el("span", { class: "versions", role: "group", "aria-label": "Versions" },
        iconButton("left", "Previous version", () => chat.pick(all[at - 1]), { disabled: at === 0 || chat.busy }),
        el("span", { text: `${at + 1}/${all.length}`, "aria-label": `version ${at + 1} of ${all.length}` }),
        iconButton("right", "Next version", () => chat.pick(all[at + 1]), { disabled: at === all.length - 1 || chat.busy })));
    }
    if (!this.running) {
      const button = iconButton("copy", "Copy", () => copy(node.content, button));
      const act = [button, iconButton("edit", "Edit", () => this.edit(), { disabled: chat.busy })];
      if (node.role === "assistant") act.push(iconButton("redo", "Answer again", () => chat.regenerate(node), { disabled: chat.busy }));
      if (node.role === "assistant" && chat.canContinue(node)) {
        act.push(el("button", { type: "button", class: "small quiet", onclick: () => chat.resume(node), disabled: chat.busy }, icon("play"), "Continue"));
      }
      tools.push(el("span", { class: "acts" }, act));
    }
    if (node.role === "assistant") tools.push(this.facts);
    return el("footer", {}, tools);
  }

  // edit opens the editor, with other words than the message's after a refusal.
  edit(text = this.node.content) {
    this.editing = text;
    this.draw();
    const field = this.root.querySelector("textarea");
    field.focus();
    field.setSelectionRange(text.length, text.length);
  }

  editor() {
    const { node, chat } = this, mine = node.role !== "assistant";
    const field = el("textarea", { class: "field", rows: 1, "aria-label": "Edit the message", oninput: () => { this.editing = field.value; fit(field); } });
    field.value = this.editing;
    const cancel = () => { this.editing = null; this.draw(); chat.focus(); };
    const save = (e) => {
      e?.preventDefault();
      if (!field.value.trim()) return;
      this.editing = null;
      this.draw();
      chat.edit(node, field.value);
    };
    field.addEventListener("keydown", (e) => {
      if (e.key === "Escape") { e.stopPropagation(); cancel(); }
      if (e.key === "Enter" && !e.shiftKey && !e.isComposing && mine) save(e);
    });
    queueMicrotask(() => fit(field));
    return el("form", { class: "editor", onsubmit: save }, field,
      el("div", { class: "row end" },
        el("small", { class: "soft grow", text: "The old version is kept." }),
        el("button", { type: "button", onclick: cancel }, "Cancel"),
        el("button", { type: "submit", class: "primary" }, mine ? "Send" : "Keep as new version")));
  }
}

// fit grows a field with its text, up to the limit in the style sheet.
export function fit(field) {
  field.style.height = "auto";
  field.style.height = field.scrollHeight + 2 + "px";
}

const ends = { length: "cut at the length limit", stopped: "stopped", cut: "incomplete", edited: "edited by you" };

// facts is the line of figures under an answer.
function facts({ stats: s, finish }) {
  const parts = [];
  if (s) {
    if (s.prompt !== null) parts.push(`prompt ${count(s.prompt)}` + (s.cached ? ` (${count(s.cached)} cached)` : ""));
    if (s.output) parts.push(`output ${count(s.output)}`);
    if (s.rate) parts.push(`${count(Math.round(s.rate * (s.rate < 10 ? 10 : 1)) / (s.rate < 10 ? 10 : 1))} tokens/s`);
    if (s.first !== null) parts.push(`first after ${count(Math.round(s.first))} ms`);
  }
  if (ends[finish]) parts.push(ends[finish]);
  return parts.join(" · ");
}
