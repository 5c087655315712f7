// The list of conversations: search, rename, export, import, delete.

import { $, ask, download, el, iconButton, menu, notice } from "./dom.js";
import { when } from "./format.js";
import * as store from "./store.js";
import { read, toJSON, toMarkdown } from "./transfer.js";

export class Sidebar {
  // chat is the view; go(hash) navigates.
  constructor(chat, go) {
    Object.assign(this, { chat, go, current: "", turn: 0 });
    $("search").addEventListener("input", () => this.refresh());
    $("search").addEventListener("keydown", (e) => {
      if (e.key === "Escape" && e.target.value) { e.stopPropagation(); e.target.value = ""; this.refresh(); }
    });
    $("file").addEventListener("change", () => this.take($("file")));
    $("history-menu").addEventListener("click", () => menu($("history-menu"), [
      ["Import…", () => $("file").click()],
      ["Export all as JSON", () => this.exportAll()],
      null,
      ["Delete all…", () => this.deleteAll(), "bad"],
    ]));
    store.onChange(() => this.refresh());
    this.refresh();
  }

  // refresh draws the list; only the newest of several in flight counts.
  async refresh() {
    const mine = ++this.turn, words = $("search").value.trim();
    const heads = await (words ? store.search(words) : store.list()).catch(() => []);
    if (mine !== this.turn) return;
    const groups = Map.groupBy ? Map.groupBy(heads, (h) => when(h.updated)) : group(heads);
    const rows = [...groups].map(([day, list]) => el("section", {}, el("h3", { text: day }), el("ul", {}, list.map((h) => this.row(h)))));
    if (!rows.length) rows.push(el("p", { class: "soft none", text: words ? "Nothing found." : "No conversations yet." }));
    $("history").replaceChildren(...rows);
    this.mark(this.current);
  }

  row(h) {
    const dots = iconButton("dots", "Commands for " + h.title, () => menu(dots, [
      ["Rename…", () => this.rename(h)],
      ["Export as JSON", () => this.exportJSON(h.id)],
      ["Export as Markdown", () => this.exportMarkdown(h.id)],
      null,
      ["Delete", () => this.remove(h), "bad"],
    ]), { "aria-haspopup": "menu", "aria-expanded": "false" });
    return el("li", { "data-id": h.id },
      el("a", { href: "#/chat/" + h.id }, el("span", { text: h.title }), h.unsaved && el("small", { class: "bad", text: "not stored" }), h.snippet && el("small", { text: h.snippet })), dots);
  }

  // mark shows which conversation is open.
  mark(id) {
    this.current = id;
    for (const li of $("history").querySelectorAll("li")) {
      if (li.dataset.id === id) li.firstChild.setAttribute("aria-current", "page");
      else li.firstChild.removeAttribute("aria-current");
    }
  }

  // step opens the next conversation of the list, or the one before.
  step(by) {
    const ids = [...$("history").querySelectorAll("li")].map((li) => li.dataset.id), at = ids.indexOf(this.current);
    const to = ids[at < 0 ? 0 : at + by];
    if (to) this.go("#/chat/" + to);
  }

  async rename(h) {
    const title = await ask({ title: "Rename the conversation", value: h.title, yes: "Rename" });
    if (title?.trim()) await this.chat.rename(h.id, title.trim());
  }

  async find(id) { return this.chat.conv?.id === id ? this.chat.conv : store.get(id); }

  async remove(h) {
    const conv = await this.find(h.id);
    this.chat.jobs.get(h.id)?.controller.abort();
    await store.remove(h.id);
    if (this.current === h.id) this.go("#/chat");
    notice(`“${h.title}” is deleted.`, { key: "deleted", actions: [["Undo", async () => { await this.chat.save(conv); this.go("#/chat/" + conv.id); }]] });
  }

  async deleteAll() {
    const heads = await store.list();
    if (!heads.length || !(await ask({ title: `Delete all ${heads.length} conversations?`, text: "They are kept in this browser only and cannot be brought back.", yes: "Delete all", danger: true }))) return;
    for (const h of heads) await store.remove(h.id);
    this.go("#/chat");
  }

  async exportJSON(id) { this.exportOne(await this.find(id)); }
  async exportMarkdown(id) { const c = await this.find(id); download(fileName(c.title) + ".md", toMarkdown(c), "text/markdown"); }
  async exportAll() { download("weft-conversations.json", toJSON(await store.all()), "application/json"); }
  exportOne(conv) { download(fileName(conv.title) + ".json", toJSON([conv]), "application/json"); }

  // take imports the chosen files; each file is taken whole or not at all.
  async take(input) {
    let last = null;
    for (const file of [...input.files]) {
      try {
        const convs = read(await file.text());
        for (const conv of convs) await this.chat.save((last = conv));
        notice(`${file.name}: ${convs.length === 1 ? "one conversation" : convs.length + " conversations"} imported.`);
      } catch (err) {
        notice(`${file.name} was not imported: ${err.message}`, { bad: true });
      }
    }
    input.value = "";
    if (last) this.go("#/chat/" + last.id);
  }
}

// group is Map.groupBy for browsers that lack it.
function group(heads) {
  const out = new Map();
  for (const h of heads) out.set(when(h.updated), [...(out.get(when(h.updated)) ?? []), h]);
  return out;
}

const fileName = (title) => title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "conversation";
