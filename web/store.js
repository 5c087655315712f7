// Conversations in IndexedDB: heads for the list, bodies with every message. A
// conversation that cannot be stored stays in memory and is tried again at the
// next change; nothing is lost while the page is open.

import { merge } from "./tree.js";

const unsaved = new Map(); // id -> conversation that storage would not take
const listeners = new Set();
const others = "BroadcastChannel" in globalThis ? new BroadcastChannel("weft") : null;
let opened = null;

// open resolves to the database, or null where the browser has none.
function open() {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open("weft", 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("heads", { keyPath: "id" });
        request.result.createObjectStore("bodies", { keyPath: "id" });
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opened;
}

const result = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

const finished = (tx) => new Promise((resolve, reject) => {
  tx.oncomplete = resolve;
  tx.onabort = tx.onerror = () => reject(tx.error ?? new DOMException("the transaction was aborted", "AbortError"));
});

const headOf = (conv) => ({ id: conv.id, title: conv.title, updated: conv.updated, model: conv.model });

// list returns the heads, newest first.
export async function list() {
  const db = await open();
  const heads = db ? await result(db.transaction("heads").objectStore("heads").getAll()) : [];
  const all = new Map(heads.map((h) => [h.id, h]));
  for (const conv of unsaved.values()) all.set(conv.id, { ...headOf(conv), unsaved: true });
  return [...all.values()].sort((a, b) => b.updated - a.updated);
}

export async function get(id) {
  if (unsaved.has(id)) return unsaved.get(id);
  const db = await open();
  return db ? result(db.transaction("bodies").objectStore("bodies").get(id)) : undefined;
}

// all yields every conversation, for search and export.
export async function all() {
  const db = await open();
  const kept = db ? await result(db.transaction("bodies").objectStore("bodies").getAll()) : [];
  return [...kept.filter((c) => !unsaved.has(c.id)), ...unsaved.values()];
}

// put stores a conversation together with what another tab may have added to
// it. It rejects when storage is full or off; the conversation is then kept in
// memory.
export async function put(conv) {
  try {
    const db = await open();
    if (!db) throw new DOMException("this browser stores nothing for this page", "InvalidStateError");
    const tx = db.transaction(["heads", "bodies"], "readwrite"), done = finished(tx);
    done.catch(() => {}); // awaited below; an earlier throw must not leave it unheard
    const bodies = tx.objectStore("bodies"), before = await result(bodies.get(conv.id));
    if (before) merge(conv, before);
    bodies.put(conv);
    tx.objectStore("heads").put(headOf(conv));
    await done;
    unsaved.delete(conv.id);
  } catch (err) {
    unsaved.set(conv.id, conv);
    throw err;
  } finally {
    changed();
  }
}

export async function remove(id) {
  unsaved.delete(id);
  const db = await open();
  if (db) {
    const tx = db.transaction(["heads", "bodies"], "readwrite");
    tx.objectStore("heads").delete(id);
    tx.objectStore("bodies").delete(id);
    await finished(tx);
  }
  changed();
}

// retry stores what would not go before, and returns how many still do not.
export async function retry() {
  await Promise.allSettled([...unsaved.values()].map(put));
  return unsaved.size;
}

export const waiting = () => unsaved.size;

// search finds conversations by title or words; the head carries a snippet.
export async function search(words) {
  const needle = words.toLowerCase(), found = [];
  for (const conv of await all()) {
    const head = { ...headOf(conv), unsaved: unsaved.has(conv.id) };
    if (conv.title.toLowerCase().includes(needle)) {
      found.push(head);
      continue;
    }
    for (const node of Object.values(conv.nodes)) {
      const at = node.content.toLowerCase().indexOf(needle);
      if (at < 0) continue;
      const from = Math.max(0, at - 20);
      head.snippet = (from > 0 ? "…" : "") + node.content.slice(from, at + 60).replace(/\s+/g, " ");
      found.push(head);
      break;
    }
  }
  return found.sort((a, b) => b.updated - a.updated);
}

// onChange hears of changes in this tab and in others.
export const onChange = (fn) => listeners.add(fn);
others?.addEventListener("message", () => { for (const fn of listeners) fn(); });

function changed() {
  for (const fn of listeners) fn();
  others?.postMessage("changed");
}
