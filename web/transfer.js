// Conversations in files: JSON keeps every version, Markdown the one on the
// screen. What comes in is checked field by field and gets ids of its own.

import { add, newConversation, newID, path, show } from "./tree.js";

const format = "weft-conversations";
const maxNodes = 100_000;

export const toJSON = (convs) => JSON.stringify({ format, version: 1, conversations: convs }, null, 1) + "\n";

// A line in a message that looks like one of our headings gets a backslash.
const marker = /^(\\*)## (System|You|Reasoning|Model|Tool(?: .*)?)$/gm;
const guard = (text) => text.replace(marker, "\\$&");
const unguard = (text) => text.replace(/^\\(\\*## (?:System|You|Reasoning|Model|Tool(?: .*)?))$/gm, "$1");

export function toMarkdown(conv) {
  const parts = ["# " + conv.title.replace(/\s+/g, " ")];
  if (conv.system.trim()) parts.push("## System", guard(conv.system));
  for (const n of path(conv)) {
    if (n.role === "user") parts.push("## You", guard(n.content));
    if (n.role === "tool") parts.push("## Tool " + (n.name ?? ""), guard(n.content));
    if (n.role !== "assistant") continue;
    if (n.reasoning) parts.push("## Reasoning", guard(n.reasoning));
    parts.push("## Model", guard(n.content));
    for (const c of n.calls ?? []) parts.push("```tool_call\n" + JSON.stringify({ id: c.id, name: c.name, arguments: c.arguments }) + "\n```");
  }
  return parts.join("\n\n") + "\n";
}

// read takes the text of a file of either kind; the error says what is wrong.
export function read(text) {
  if (!/^\s*[{[]/.test(text)) return [fromMarkdown(text)];
  let data;
  try {
    data = JSON.parse(text);
  } catch (err) {
    throw new Error("the file is not whole JSON: " + err.message);
  }
  if (Array.isArray(data?.messages)) return [fromMessages(data.messages)];
  if (data?.format !== format) throw new Error(`the file is no export of weft (its format is ${JSON.stringify(data?.format ?? null)}) and has no list of messages`);
  if (data.version !== 1) throw new Error(`the file is of version ${data.version}, this page reads version 1`);
  return list(data.conversations, "conversations").map(conversation);
}

function fromMarkdown(text) {
  const head = /^# (.*)$/m.exec(text);
  const pieces = text.replaceAll("\r\n", "\n").split(/^## (System|You|Reasoning|Model|Tool(?: .*)?)$/m);
  if (pieces.length < 3) throw new Error("the file has no part named \"## You\" or \"## Model\"");
  const conv = newConversation("", "");
  let last = "", reasoning = "";
  for (let i = 1; i < pieces.length; i += 2) {
    const role = pieces[i].split(" ")[0], words = pieces[i + 1].trim();
    if (role === "System") conv.system = unguard(words);
    if (role === "You") last = add(conv, last, "user", unguard(words)).id;
    if (role === "Tool") last = add(conv, last, "tool", unguard(words), { name: pieces[i].slice(5), callId: pendingCall(conv, last) }).id;
    if (role === "Reasoning") reasoning = unguard(words);
    if (role !== "Model") continue;
    const calls = [];
    const said = words.replace(/(?:^|\n\n)```tool_call\n(.*)\n```(?=\n\n```tool_call|$)/g, (_, json) => { calls.push(callOf(JSON.parse(json), "tool_call")); return ""; });
    last = add(conv, last, "assistant", unguard(said.trim()), { model: "", reasoning, tokens: [], calls, finish: "stop" }).id;
    reasoning = "";
  }
  return named(conv, head?.[1]);
}

// pendingCall is the id of the first call above that has no result yet.
function pendingCall(conv, last) {
  const answered = new Set();
  for (let n = conv.nodes[last]; n; n = conv.nodes[n.parent]) {
    if (n.role === "tool") answered.add(n.callId);
    else return n.calls?.find((c) => !answered.has(c.id))?.id ?? "";
  }
  return "";
}

// fromMessages takes the messages of an OpenAI-style request.
function fromMessages(messages) {
  const conv = newConversation("", "");
  let last = "";
  messages.forEach((m, i) => {
    const where = `messages[${i}]`, words = text(m?.content ?? "", where + ".content");
    if (m.role === "system" || m.role === "developer") conv.system = words;
    else if (m.role === "user") last = add(conv, last, "user", words).id;
    else if (m.role === "tool") last = add(conv, last, "tool", words, { callId: text(m.tool_call_id ?? "", where), name: "" }).id;
    else if (m.role === "assistant") {
      const calls = list(m.tool_calls ?? [], where + ".tool_calls").map((c) => callOf({ id: c?.id, ...c?.function }, where));
      const reasoning = text(m.reasoning_content ?? m.reasoning ?? "", where + ".reasoning_content");
      last = add(conv, last, "assistant", words, { model: "", reasoning, tokens: [], calls, finish: "stop" }).id;
    } else throw new Error(`${where} has the role ${JSON.stringify(m.role)}, want system, user, assistant or tool`);
  });
  return named(conv);
}

// conversation checks one of ours and gives all of it new ids.
function conversation(c, i) {
  const where = `conversations[${i}]`, nodes = Object.values(c?.nodes ?? {}), ids = new Map([["", ""]]);
  if (nodes.length > maxNodes) throw new Error(`${where} has ${nodes.length} messages, want at most ${maxNodes}`);
  const conv = newConversation(text(c.model ?? "", where + ".model"), text(c.system ?? "", where + ".system"));
  for (const n of nodes) ids.set(text(n?.id, where + ".id"), newID());
  for (const n of nodes) {
    const at = `${where}, message ${n.id}`;
    if (!["user", "assistant", "tool"].includes(n.role)) throw new Error(`${at} has the role ${JSON.stringify(n.role)}`);
    if (!ids.has(n.parent)) throw new Error(`${at} hangs on ${JSON.stringify(n.parent)}, which is not there`);
    conv.nodes[ids.get(n.id)] = {
      id: ids.get(n.id), parent: ids.get(n.parent), role: n.role, content: text(n.content, at), created: Number(n.created) || 0,
      pick: ids.get(n.pick) ?? "", ...(n.role === "assistant" ? assistant(n, at) : n.role === "tool" ? { callId: String(n.callId ?? ""), name: String(n.name ?? "") } : {}),
    };
  }
  conv.pick = ids.get(c.pick) ?? "";
  for (const n of [conv, ...Object.values(conv.nodes)]) if (n.pick && conv.nodes[n.pick].parent !== (n === conv ? "" : n.id)) n.pick = "";
  acyclic(conv, where);
  conv.created = Number(c.created) || conv.created;
  return named(conv, c.title);
}

function assistant(n, at) {
  return {
    model: text(n.model ?? "", at), reasoning: text(n.reasoning ?? "", at), finish: text(n.finish ?? "stop", at) || "cut", stats: stats(n.stats),
    tokens: list(n.tokens ?? [], at).map(([t, units, lp, top]) => [text(t, at), Number(units), Number(lp), list(top, at).map(([a, l]) => [text(a, at), Number(l)])]),
    calls: list(n.calls ?? [], at).map((c) => callOf(c, at)),
  };
}

function stats(s) {
  if (!s || typeof s !== "object") return undefined;
  const number = (v) => (v === null || v === undefined ? null : Number(v));
  return { prompt: number(s.prompt), cached: Number(s.cached) || 0, output: Number(s.output) || 0, first: number(s.first), rate: number(s.rate) };
}

// acyclic follows every message to the root.
function acyclic(conv, where) {
  const good = new Set([""]);
  for (const node of Object.values(conv.nodes)) {
    const way = new Set();
    for (let n = node; n && !good.has(n.id); n = conv.nodes[n.parent]) {
      if (way.has(n.id)) throw new Error(`${where}: message ${n.id} is its own ancestor`);
      way.add(n.id);
    }
    for (const id of way) good.add(id);
  }
}

function named(conv, title) {
  if (typeof title === "string" && title.trim()) Object.assign(conv, { title: title.trim().slice(0, 200), named: true });
  const first = path(conv)[0] ?? Object.values(conv.nodes).find((n) => n.parent === "");
  if (first) show(conv, first);
  return conv;
}

function text(v, where) {
  if (typeof v !== "string") throw new Error(`${where} must be text, got ${JSON.stringify(v)?.slice(0, 40)}`);
  return v;
}

function list(v, where) {
  if (!Array.isArray(v)) throw new Error(`${where} must be a list`);
  return v;
}

const callOf = (c, where) => ({ id: text(c?.id ?? "", where), name: text(c?.name, where), arguments: text(c?.arguments, where) });
