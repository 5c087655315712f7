// The message box: grows with its text, keeps a draft per conversation while
// the tab is open, and says how long a long text is.

import { $, el, icon, iconButton } from "./dom.js";
import { count } from "./format.js";
import { fit } from "./turn.js";

const long = 2_000;         // characters from which the length is shown
const maxDraft = 1_000_000; // characters; a longer draft lives in the box alone

export class Composer {
  // send gets the text; stop ends the running answer; editLast is the arrow
  // up in an empty box.
  constructor({ send, stop, editLast }) {
    Object.assign(this, { onsend: send, onstop: stop, busy: false, draftOf: "" });
    this.input = $("input");
    $("composer").addEventListener("submit", (e) => { e.preventDefault(); this.busy ? stop() : this.submit(); });
    this.input.addEventListener("input", () => this.changed());
    this.input.addEventListener("keydown", (e) => {
      if (e.isComposing) return;
      if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); this.submit(); }
      if (e.key === "ArrowUp" && this.input.value === "" && !this.busy) { e.preventDefault(); editLast(); }
    });
    this.setBusy(false);
  }

  submit() {
    const text = this.input.value;
    if (this.busy || !text.trim()) return;
    this.set("");
    this.onsend(text);
  }

  // open switches to the draft of a conversation.
  open(id) {
    this.draftOf = id;
    this.refuse(null);
    let draft = "";
    try {
      draft = sessionStorage.getItem("weft.draft." + id) ?? "";
    } catch { /* no storage, no draft */ }
    this.set(draft);
  }

  set(text) {
    this.input.value = text;
    this.changed();
  }

  changed() {
    const text = this.input.value;
    fit(this.input);
    $("length").textContent = text.length >= long ? `${count(text.length)} characters` : "";
    if (text) this.refuse(null);
    try {
      if (text && text.length <= maxDraft) sessionStorage.setItem("weft.draft." + this.draftOf, text);
      else sessionStorage.removeItem("weft.draft." + this.draftOf);
    } catch { /* full: the text is in the box all the same */ }
  }

  setBusy(busy) {
    this.busy = busy;
    const label = busy ? "Stop (Esc)" : "Send (Enter)";
    $("send").replaceChildren(icon(busy ? "stop" : "send"));
    $("send").setAttribute("aria-label", label);
    $("send").title = label;
    $("send").classList.toggle("stop", busy);
  }

  // refuse shows why a message was not taken; its words are back in the box or
  // in the editor. Null takes the note away.
  refuse(note) {
    const box = $("refusal");
    box.hidden = !note;
    box.replaceChildren();
    if (!note) return;
    box.append(el("div", { class: "grow" }, el("b", { text: note.title }), note.share && meter(note.share), el("p", { text: note.text })),
      iconButton("close", "Close", () => this.refuse(null)));
  }

  focus() { if (!matchMedia("(hover: none)").matches) this.input.focus(); }
}

// meter shows two lengths against each other: what fits, and what was sent.
function meter({ limit, needed }) {
  const bar = el("i");
  bar.style.width = Math.max(0.5, (100 * limit) / needed) + "%";
  return el("div", { class: "meter", role: "img", "aria-label": `${limit} of ${needed} tokens fit` }, bar);
}
