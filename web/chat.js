// The chat: the open conversation on the screen, the answers being written
// (also of conversations that are not open), and what the user does to both.

import { overlong } from "./api.js";
import { answer, isBase } from "./ask.js";
import { Composer } from "./composer.js";
import { $, copy, dismiss, el, notice, say } from "./dom.js";
import { count, short } from "./format.js";
import { prefs } from "./prefs.js";
import * as store from "./store.js";
import { legend, watch } from "./tokens.js";
import * as tree from "./tree.js";
import { Turn } from "./turn.js";

const saveEvery = 2_000; // ms, while an answer streams

export class Chat {
  // hooks: opened(conv) after another conversation is shown or renamed,
  // needKey() when the server wants one, model() names the chosen one and
  // info(id) what is known of it.
  constructor(hooks) {
    Object.assign(this, { hooks, turns: new Map(), jobs: new Map(), conv: null, frame: 0 });
    this.log = $("log");
    this.composer = new Composer({ send: (t) => this.send(t), stop: () => this.stop(), editLast: () => this.editLast() });
    watch(this.log, (span) => this.conv.nodes[span.closest(".turn")?.dataset.id]?.tokens);
    this.log.addEventListener("scroll", () => this.scrolled());
    $("latest").addEventListener("click", () => this.follow(true));
    addEventListener("pagehide", () => { for (const { conv } of this.jobs.values()) this.save(conv); });
    addEventListener("beforeunload", (e) => { if (store.waiting()) e.preventDefault(); });
  }

  // ---- which conversation

  // open shows a stored conversation, or a new one for "".
  async open(id) {
    if (this.conv && this.conv.id === id) return true;
    const mine = (this.opening = (this.opening ?? 0) + 1);
    let conv = this.jobs.get(id)?.conv;
    if (id && !conv) conv = await store.get(id).catch(() => undefined);
    if (mine !== this.opening) return true; // another was asked for meanwhile
    if (id && !conv) return false;
    this.conv = conv ?? tree.newConversation(this.hooks.model(), prefs.system);
    this.fresh = !conv;
    for (const n of Object.values(this.conv.nodes)) if (n.finish === "" && !this.isRunning(n)) n.finish = "cut"; // the page closed meanwhile
    this.turns.clear();
    this.log.querySelector(".turns").replaceChildren();
    this.composer.open(this.fresh ? "" : id);
    this.render();
    this.follow(true);
    this.hooks.opened(this.conv);
    this.composer.focus();
    return true;
  }

  // rename gives the open conversation its title.
  async rename(id, title) {
    const conv = this.conv?.id === id ? this.conv : await store.get(id);
    Object.assign(conv, { title, named: true });
    await this.save(conv);
    if (conv === this.conv) this.hooks.opened(conv);
  }

  setSystem(text) {
    this.conv.system = text;
    this.render();
    if (!this.fresh) this.saveSoon(this.conv);
  }

  // ---- what the turns ask

  get busy() { return this.jobs.has(this.conv.id); }
  isRunning(node) { return [...this.jobs.values()].some((j) => j.node === node); }
  isLast(node) { return tree.path(this.conv).at(-1) === node; }
  canContinue(node) { return this.isLast(node) && node.content !== "" && !node.calls?.length && (isBase(node.model) || ["stopped", "length", "cut", "edited"].includes(node.finish)); }
  focus() { this.composer.focus(); }

  send(text) {
    const { conv } = this, last = tree.path(conv).at(-1);
    if (last?.calls?.length) {
      this.composer.set(text);
      this.composer.refuse({ title: "The model waits for its tool", text: "Fill in the result above first, or let it answer again." });
      return;
    }
    const user = tree.add(conv, last?.id ?? "", "user", text);
    this.reply(conv, user, (note) => {
      tree.drop(conv, user);
      if (this.conv === conv && !this.composer.input.value) this.composer.set(text);
      this.composer.refuse(note);
    });
  }

  edit(node, text) {
    const { conv } = this;
    const more = node.role === "assistant" ? { model: node.model, tokens: [], calls: [], finish: "edited" } : node.role === "tool" ? { callId: node.callId, name: node.name } : {};
    const next = tree.add(conv, node.parent, node.role, text, more);
    if (node.role === "assistant") {
      this.save(conv);
      this.render();
      return;
    }
    this.reply(conv, next, (note) => {
      tree.drop(conv, next);
      tree.show(conv, node);
      this.render();
      this.turns.get(node.id)?.edit(text);
      this.composer.refuse(note);
    });
  }

  editLast() {
    const mine = tree.path(this.conv).filter((n) => n.role === "user").at(-1);
    if (mine && !this.busy) this.turns.get(mine.id)?.edit();
  }

  // answerCalls takes the results of a message's tool calls.
  answerCalls(node, texts) {
    const { conv } = this, made = [];
    for (const [i, call] of node.calls.entries()) {
      made.push(tree.add(conv, made.at(-1)?.id ?? node.id, "tool", texts[i], { callId: call.id, name: call.name }));
    }
    this.reply(conv, made.at(-1), (note) => {
      for (const n of made.reverse()) tree.drop(conv, n);
      this.composer.refuse(note);
    });
  }

  regenerate(node) {
    const parent = this.conv.nodes[node.parent];
    this.reply(this.conv, parent, (note) => { tree.show(this.conv, node); this.composer.refuse(note); });
  }

  // retry asks again where an answer failed: a new version if it had begun.
  retry(node) {
    if (node.content || node.reasoning || node.calls.length) return this.regenerate(node);
    node.error = "";
    this.run(this.conv, node, (note) => { node.error = note.text; });
  }

  resume(node) {
    const finish = node.finish;
    Object.assign(node, { error: "", finish: "" });
    this.run(this.conv, node, (note) => { node.finish = finish; this.composer.refuse(note); });
  }

  pick(node) {
    if (!node || this.busy) return;
    tree.show(this.conv, node);
    this.render();
    this.save(this.conv);
  }

  stop() { this.jobs.get(this.conv.id)?.controller.abort(); }

  // ---- answers

  // reply answers below a message; undo takes everything back if the server
  // refuses the request.
  reply(conv, parent, undo) {
    const node = tree.add(conv, parent?.id ?? "", "assistant", "", { model: this.hooks.model(), reasoning: "", tokens: [], calls: [], finish: "" });
    this.run(conv, node, (note) => { tree.drop(conv, node); undo(note); });
  }

  async run(conv, node, undo) {
    if (this.jobs.has(conv.id)) return;
    const controller = new AbortController(), begun = node.content.length;
    this.jobs.set(conv.id, { conv, node, controller });
    this.composer.refuse(null);
    this.render();
    this.follow(true);
    say("The model answers.");
    let saved = -Infinity, refused = null; // stored with the first piece
    try {
      await answer(conv, node, { signal: controller.signal, onpiece: () => {
        if (conv === this.conv) this.schedule();
        if (performance.now() - saved < saveEvery) return;
        saved = performance.now();
        this.keep(conv);
      } });
    } catch (err) {
      refused = this.failed(node, err, begun);
    }
    this.jobs.delete(conv.id);
    if (refused) undo(refused);
    else await this.keep(conv);
    if (conv === this.conv) {
      this.render();
      this.follow();
    }
    if (refused || node.error) say(""); // the note is an alert of its own
    else say(node.finish === "stopped" ? "Stopped." : "Answer: " + node.content.slice(begun, begun + 600));
  }

  // failed notes an error at the node; a request that the server refused
  // outright comes back as a note instead, for nothing was said.
  failed(node, err, begun) {
    if (err.name === "AbortError") {
      node.finish = "stopped";
      return null;
    }
    if (!("status" in err)) console.error(err); // ours, not the server's
    const said = node.content.length > begun || node.calls.length > 0 || (!begun && node.reasoning), long = overlong(err);
    if (!said && [400, 404, 413, 422].includes(err.status)) return long ? tooLong(long) : { title: "The server did not take this", text: err.message };
    node.finish = "cut";
    node.error = err.status === 401 ? "This server wants its API key: enter it in the settings, then try again." : err.message;
    if (err.status === 401) this.hooks.needKey();
    return null;
  }

  // keep stores a conversation; the first time, it gets its address.
  keep(conv) {
    if (conv === this.conv && this.fresh) {
      this.fresh = false;
      this.composer.draftOf = conv.id;
      history.replaceState(null, "", "#/chat/" + conv.id);
      this.hooks.opened(conv);
    }
    return this.save(conv);
  }

  async save(conv) {
    try {
      await store.put(conv);
      dismiss("storage");
    } catch (err) {
      const full = err.name === "QuotaExceededError";
      notice((full ? "This browser's storage for this page is full." : "This browser does not store the history of this page (" + err.message + ").") +
        " The conversation is whole as long as this page stays open. Export it" + (full ? ", or delete older conversations and store it again." : "."),
      { key: "storage", bad: true, actions: [["Export it", () => this.hooks.exportOne(conv)], ["Store again", () => this.save(conv)]] });
    }
  }

  saveSoon(conv) {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.save(conv), 400);
  }

  // ---- the screen

  // schedule draws the growing answer once per frame, however fast it comes.
  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const job = this.jobs.get(this.conv.id);
      if (!job) return;
      this.turns.get(job.node.id)?.grow();
      this.follow();
    });
  }

  // render brings the turns in line with the picked path.
  render() {
    const { conv } = this, way = tree.path(conv), root = this.log.querySelector(".turns");
    const stale = new Set(this.turns.keys());
    way.forEach((node, i) => {
      stale.delete(node.id);
      let turn = this.turns.get(node.id);
      if (!turn) this.turns.set(node.id, (turn = new Turn(conv, node, this)));
      else if (turn.editing === null) turn.draw();
      if (root.children[i] !== turn.root) root.insertBefore(turn.root, root.children[i] ?? null);
    });
    for (const id of stale) {
      this.turns.get(id).root.remove();
      this.turns.delete(id);
    }
    $("system-card").hidden = !conv.system.trim();
    $("system-text").textContent = conv.system;
    $("legend").replaceChildren(...(prefs.colours && way.length ? [legend()] : []));
    this.log.setAttribute("aria-busy", String(this.busy));
    this.composer.setBusy(this.busy);
    this.welcome(way.length === 0);
  }

  // welcome says what this model is, and what it can be asked.
  welcome(show) {
    const box = $("welcome"), info = this.hooks.info(this.hooks.model());
    box.hidden = !show;
    $("stage").classList.toggle("empty", show);
    if (!show) return;
    box.replaceChildren(el("h2", { text: info?.tiny ? "Ask about a small town." : "Say something." }), about(info));
    if (!info?.examples?.length) return;
    box.append(el("h3", { class: "soft", text: "Questions to try" }),
      el("ul", { class: "examples" }, info.examples.slice(0, 6).map((q) => el("li", {}, el("button", { type: "button", onclick: () => this.send(q) }, q)))));
  }

  atEnd() { return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80; }

  scrolled() {
    this.stuck = this.atEnd();
    $("latest").hidden = this.stuck;
  }

  // follow keeps the end in view unless the reader has scrolled away from it.
  follow(always) {
    if (always || this.stuck !== false) {
      this.stuck = true;
      this.log.scrollTop = this.log.scrollHeight;
    }
    $("latest").hidden = this.stuck;
  }

  copyLast() {
    const last = tree.path(this.conv).filter((n) => n.role === "assistant").at(-1);
    if (last) copy(last.content).then(() => notice("The last answer is copied.", { key: "copied" }));
  }

  regenerateLast() {
    const last = tree.path(this.conv).at(-1);
    if (last?.role === "assistant" && !this.busy) this.regenerate(last);
  }
}

function about(info) {
  const here = "Your words go to this server's own model and nowhere else.";
  if (!info) return el("p", { text: here });
  if (!info.tiny) return el("p", { text: (info.template === "" && !info.brief ? "This is a base model: it continues your text. " : "") + here });
  return el("p", {}, el("b", { text: info.id }), ` is a tiny model: ${short(info.parameters)} parameters, made for one small invented town. `,
    "It knows that town, a little arithmetic and what you tell it; of the rest of the world it knows nothing and may make things up. ", here);
}

function tooLong({ limit, needed, prompt }) {
  const room = prompt < needed ? `${count(needed)} tokens (${count(prompt)} of them the conversation, ${count(needed - prompt)} for the answer)` : `${count(needed)} tokens`;
  return {
    title: `Too long for this model: ${count(needed)} tokens, and ${count(limit)} fit`,
    share: { limit, needed },
    text: `The conversation needs ${room}; the model's context is ${count(limit)}. Nothing was cut or sent to the model. Shorten the message, lower the longest answer, or begin a new chat.`,
  };
}
