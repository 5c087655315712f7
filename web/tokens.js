// Token probabilities: a reply as a row of tokens, coloured by how sure the
// model was, with the alternatives of the one under the pointer or the focus.
//
// A token is stored as [text, units, logprob, [[text, logprob], ...]]; units
// is its length in the reply in UTF-16 units, 0 for a part of a character.

import { el } from "./dom.js";
import { percent } from "./format.js";

// Collector turns the logprobs of a stream into stored tokens. Bytes are
// decoded across tokens, as a character may be spread over several.
export class Collector {
  constructor(tokens) {
    this.tokens = tokens;
    this.decoder = new TextDecoder();
  }

  // chat takes choices[].logprobs of a chat completion chunk.
  chat(logprobs) {
    for (const t of logprobs?.content ?? []) {
      const text = t.bytes ? this.decoder.decode(Uint8Array.from(t.bytes), { stream: true }) : t.token;
      this.tokens.push([t.token, text.length, t.logprob, (t.top_logprobs ?? []).map((a) => [a.token, a.logprob])]);
    }
  }

  // text takes choices[].logprobs of a plain completion chunk.
  text(logprobs) {
    logprobs?.tokens?.forEach((token, i) => {
      const top = Object.entries(logprobs.top_logprobs?.[i] ?? {}).sort((a, b) => b[1] - a[1]);
      const partial = token.startsWith("bytes:");
      this.tokens.push([token, partial ? 0 : token.length, logprobs.token_logprobs[i] ?? 0, top]);
    });
  }
}

// level sorts a probability into six colours, 0 the surest.
const bounds = [0.95, 0.8, 0.5, 0.2, 0.05];
const level = (lp) => {
  const at = bounds.findIndex((b) => Math.exp(lp) >= b);
  return at < 0 ? bounds.length : at;
};

// View draws a reply's tokens and goes on as more come. One token is in the
// tab order; the arrow keys go on from there.
export class View {
  constructor(root) {
    this.root = root;
    this.root.classList.add("tokens");
    this.done = 0;  // tokens drawn
    this.at = 0;    // characters drawn
    root.addEventListener("keydown", (e) => this.keys(e));
  }

  update(text, tokens) {
    this.tail?.remove();
    for (; this.done < tokens.length; this.done++) {
      const [, units, lp] = tokens[this.done];
      const piece = text.slice(this.at, this.at + units);
      this.at += units;
      if (piece === "") continue;
      const span = el("span", { class: "tok p" + level(lp), "data-i": this.done, tabindex: this.root.firstChild ? -1 : 0, text: piece });
      if (/^\s+$/.test(piece)) span.classList.add("blank");
      this.root.append(span);
    }
    this.tail = text.length > this.at ? el("span", { text: text.slice(this.at) }) : null; // without probabilities
    if (this.tail) this.root.append(this.tail);
  }

  keys(e) {
    const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[e.key];
    const to = step && e.target[step];
    if (!to?.dataset.i) return;
    e.preventDefault();
    e.target.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }
}

const shown = (s) => s.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "∅";

// watch shows the alternatives of the token under the pointer or the focus,
// anywhere in root; find gives the tokens of the reply around an element.
export function watch(root, find) {
  const tip = el("div", { class: "tip", role: "tooltip", id: "token-tip", hidden: true });
  document.body.append(tip);
  let over = null;
  const hide = () => { tip.hidden = true; over?.removeAttribute("aria-describedby"); over = null; };
  const show = (e) => {
    const span = e.target.closest?.(".tok");
    if (span === over && !tip.hidden) return;
    hide();
    const token = span && find(span)?.[span.dataset.i];
    if (!token) return;
    over = span;
    span.setAttribute("aria-describedby", tip.id);
    tip.replaceChildren(...describe(token));
    tip.hidden = false;
    const box = span.getClientRects()[0] ?? span.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8)) + "px";
    const above = box.top - tip.offsetHeight - 6;
    tip.style.top = (above > 8 ? above : box.bottom + 6) + "px";
  };
  root.addEventListener("mouseover", show);
  root.addEventListener("focusin", show);
  root.addEventListener("mouseleave", hide);
  root.addEventListener("focusout", hide);
  root.addEventListener("scroll", hide, true);
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") hide(); });
}

function describe([text, , lp, top]) {
  const rows = top.map(([t, l]) => [t, l, t === text]);
  if (!rows.some((r) => r[2])) rows.push([text, lp, true]);
  return [
    el("p", {}, el("b", { class: "mono", text: shown(text) }), " ", percent(Math.exp(lp))),
    el("ol", {}, rows.map(([t, l, chosen]) => {
      const bar = el("i");
      bar.style.width = Math.exp(l) * 100 + "%";
      return el("li", { class: chosen && "chosen" }, bar, el("span", { class: "mono", text: shown(t) }), el("span", { text: percent(Math.exp(l)) }));
    })),
  ];
}

// legend explains the colours.
export function legend() {
  const names = ["≥ 95%", "≥ 80%", "≥ 50%", "≥ 20%", "≥ 5%", "less"];
  return el("p", { class: "legend" }, "How sure the model was of each token, before sampling: ",
    names.map((n, i) => el("span", { class: "tok p" + i, text: n })));
}
