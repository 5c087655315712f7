// A conversation as a tree: every edit and every new answer is one more child
// of the same parent, so nothing said is ever lost. Plain data, as it is stored:
//
//   conversation {id, title, named, created, updated, model, system, pick, nodes: {id: node}}
//   node {id, parent, role, content, created, pick, ...}
//     assistant: model, reasoning, tokens, calls, stats, finish ("" while it is written), error
//     tool: callId, name
//
// pick is the child last looked at; following picks from the root gives the
// conversation on the screen. The root's id is "".

export function newID() {
  const b = crypto.getRandomValues(new Uint8Array(9));
  return btoa(String.fromCharCode(...b)).replaceAll("+", "-").replaceAll("/", "_");
}

export function newConversation(model, system) {
  const now = Date.now();
  return { id: newID(), title: "New chat", named: false, created: now, updated: now, model, system, pick: "", nodes: {} };
}

// add puts a message under a parent ("" for the first) and makes it the one
// shown.
export function add(conv, parent, role, content, more = {}) {
  const node = { id: newID(), parent, role, content, created: Date.now(), pick: "", ...more };
  conv.nodes[node.id] = node;
  show(conv, node);
  if (!conv.named && role === "user" && siblings(conv, node).length === 1 && parent === "") conv.title = titleOf(content);
  return node;
}

// show makes node the picked one among its siblings.
export function show(conv, node) {
  const parent = node.parent === "" ? conv : conv.nodes[node.parent];
  parent.pick = node.id;
  conv.updated = Date.now();
}

// drop removes a node that has no children, such as a refused message.
export function drop(conv, node) {
  delete conv.nodes[node.id];
  const parent = node.parent === "" ? conv : conv.nodes[node.parent];
  if (parent.pick === node.id) parent.pick = children(conv, node.parent).at(-1)?.id ?? "";
}

export const children = (conv, parent) => Object.values(conv.nodes).filter((n) => n.parent === parent).sort((a, b) => a.created - b.created);

export const siblings = (conv, node) => children(conv, node.parent);

// path is the conversation on the screen, first message first.
export function path(conv) {
  const out = [];
  for (let id = conv.pick; id && conv.nodes[id]; id = conv.nodes[id].pick) out.push(conv.nodes[id]);
  return out;
}

// upTo is the way from the root to a node, both included.
export function upTo(conv, node) {
  const out = [];
  for (let n = node; n; n = conv.nodes[n.parent]) out.unshift(n);
  return out;
}

// titleOf shortens the first words to a line.
export function titleOf(text) {
  const line = text.slice(0, 400).trim().replace(/\s+/g, " ");
  if (line.length <= 60) return line || "New chat";
  const cut = line.slice(0, 60);
  return cut.slice(0, Math.max(30, cut.lastIndexOf(" "))) + "…";
}

// merge takes over what another tab has added to the same conversation.
export function merge(conv, other) {
  for (const [id, node] of Object.entries(other.nodes)) {
    if (!conv.nodes[id]) conv.nodes[id] = node;
  }
}
