// One answer: the request for the conversation so far, and the stream that
// fills in an assistant node.

import { api, events } from "./api.js";
import { prefs } from "./prefs.js";
import { definitions } from "./tools.js";
import { Collector } from "./tokens.js";
import { upTo } from "./tree.js";

const base = new Set();     // models that continue text and take no messages
const baseLimit = 200;      // tokens, as a base model has no end of turn
const alternatives = 5;     // per token

export const isBase = (model) => base.has(model);
export const markBase = (model) => base.add(model);

// answer streams into node until its end and calls onpiece after every event.
// A node that has content already is continued. What was said before an error
// stays in the node; the error is thrown.
export async function answer(conv, node, { signal, onpiece }) {
  const clock = { started: performance.now(), first: 0, ended: 0, before: node.stats?.output ?? 0, pieces: 0 };
  const tokens = new Collector(node.tokens);
  for await (const chunk of await start(conv, node, signal)) {
    const choice = chunk.choices?.[0];
    if (choice) take(node, choice, tokens, clock);
    if (chunk.usage) clock.usage = chunk.usage;
    node.stats = stats(clock);
    onpiece();
  }
  node.finish ||= "stop";
}

// start opens the stream. The first refusal of a base model to chat turns it
// to plain continuation.
async function start(conv, node, signal) {
  if (!isBase(node.model)) {
    try {
      return events((await api("/v1/chat/completions", { body: await chatBody(conv, node), signal })).body);
    } catch (err) {
      if (err.code !== "no_chat_template") throw err;
      markBase(node.model);
    }
  }
  return events((await api("/v1/completions", { body: textBody(conv, node), signal })).body);
}

function common(node) {
  const body = { model: node.model || undefined, stream: true, stream_options: { include_usage: true } };
  for (const [field, value] of Object.entries(prefs.sampling)) if (value !== null) body[field] = value;
  return body;
}

async function chatBody(conv, node) {
  const body = common(node), before = conv.nodes[node.parent];
  body.messages = (before ? upTo(conv, before) : []).map(message).filter(Boolean);
  if (conv.system.trim()) body.messages.unshift({ role: "system", content: conv.system });
  if (node.content) {
    body.messages.push(message({ ...node, calls: [] }));
    Object.assign(body, { continue_final_message: true, add_generation_prompt: false });
  }
  const tools = (await definitions()).filter((t) => prefs.tools.includes(t.function.name));
  if (tools.length) body.tools = tools;
  if (prefs.probabilities) Object.assign(body, { logprobs: true, top_logprobs: alternatives });
  return body;
}

// message is a node as the API wants it; an answer without a word is left out.
function message(n) {
  if (n.role === "tool") return { role: "tool", tool_call_id: n.callId, content: n.content };
  if (n.role === "user") return { role: "user", content: n.content };
  if (!n.content && !n.calls?.length) return null;
  const m = { role: "assistant", content: n.content };
  if (n.reasoning) m.reasoning_content = n.reasoning; // which the model's template keeps or leaves out
  if (n.calls?.length) m.tool_calls = n.calls.map((c) => ({ id: c.id, type: "function", function: { name: c.name, arguments: c.arguments } }));
  return m;
}

// textBody asks a base model to go on with everything said so far.
function textBody(conv, node) {
  const body = common(node);
  body.prompt = upTo(conv, node).map((n) => n.content).join("");
  body.max_tokens ??= baseLimit;
  if (prefs.probabilities) body.logprobs = alternatives;
  return body;
}

function take(node, choice, tokens, clock) {
  const piece = choice.delta?.content ?? choice.text ?? "", thought = choice.delta?.reasoning_content ?? "";
  if (piece || thought || choice.delta?.tool_calls) clock.first ||= performance.now();
  if (piece || thought) clock.pieces++;
  node.content += piece;
  if (thought) node.reasoning = (node.reasoning ?? "") + thought;
  if (choice.delta) tokens.chat(choice.logprobs);
  else tokens.text(choice.logprobs);
  for (const part of choice.delta?.tool_calls ?? []) {
    const call = (node.calls[part.index ?? 0] ??= { id: "", name: "", arguments: "" });
    if (part.id) call.id = part.id;
    if (part.function?.name) call.name = part.function.name;
    call.arguments += part.function?.arguments ?? "";
  }
  if (choice.finish_reason) node.finish = choice.finish_reason;
  clock.ended = performance.now();
}

// stats sums an answer up: counts as the server gives them, or the pieces so
// far. The rate leaves out the wait for the first token, unless all came in
// one burst, too short to time.
function stats({ started, first, ended, before, pieces, usage }) {
  const burst = ended - first < 20, made = usage?.completion_tokens ?? pieces;
  const seconds = (ended - (burst ? started : first)) / 1000;
  return {
    prompt: usage?.prompt_tokens ?? null,
    cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    output: before + made,
    first: first ? first - started : null, // ms
    rate: first && made > 1 && seconds > 0 ? (burst ? made : made - 1) / seconds : null, // tokens per second
  };
}
