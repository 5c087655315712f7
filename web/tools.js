// Tools that the model may call, and the cards that show a call. The server
// runs no tools: the user fills in a result; the calculator's is worked out
// here.

import { getJSON } from "./api.js";
import { calculate } from "./calc.js";
import { el, icon } from "./dom.js";

let loaded = null;

// What results look like in the small world, for the fields to hint at.
const hints = { price: "such as: 4 coins", hours: "such as: from 8 o'clock to 5 o'clock, or: closed" };

// definitions are in OpenAI's shape, as the tiny model was taught them.
export const definitions = () => (loaded ??= getJSON("/static/tools.json").catch(() => { loaded = null; return []; }));

// parameters reads a call's arguments; null if they are no JSON object.
function parameters(call) {
  try {
    const args = JSON.parse(call.arguments);
    return args && typeof args === "object" && !Array.isArray(args) ? args : null;
  } catch {
    return null;
  }
}

// card shows a call: the name and its arguments, as a person reads them.
export function card(call) {
  const args = parameters(call);
  const shown = args
    ? Object.entries(args).map(([k, v]) => [el("dt", { text: k }), el("dd", { text: typeof v === "string" ? v : JSON.stringify(v) })])
    : el("dd", { class: "mono", text: call.arguments });
  return el("section", { class: "call", "aria-label": "Tool call: " + call.name },
    el("header", {}, icon("wrench"), el("b", { text: call.name }), el("span", { class: "soft", text: "the model asks for this tool" })),
    el("dl", {}, shown));
}

// results is the form under calls that wait; submit gets a text per call.
export function results(calls, submit) {
  const fields = calls.map((call) => {
    const guess = suggest(call);
    const input = el("input", { class: "field", value: guess?.value, placeholder: hints[call.name] ?? "what the tool answers", "aria-label": "Result of " + call.name, required: true });
    return { input, row: el("label", {}, el("span", {}, "Result of ", el("b", { text: call.name }), guess && el("small", { class: "soft", text: guess.note })), input) };
  });
  return el("form", { class: "results", onsubmit: (e) => { e.preventDefault(); submit(fields.map((f) => f.input.value)); } },
    fields.map((f) => f.row),
    el("div", { class: "row" },
      el("button", { type: "submit", class: "primary small" }, calls.length > 1 ? "Send the results" : "Send the result"),
      el("small", { class: "soft", text: "This server runs no tools: you answer for them." })));
}

// suggest works out what this page can.
function suggest(call) {
  if (call.name !== "calculator") return null;
  const args = parameters(call), expression = args && Object.values(args).find((v) => typeof v === "string");
  if (!expression) return null;
  try {
    return { value: String(calculate(expression)), note: " · worked out in this page" };
  } catch (err) {
    return { value: "", note: " · cannot be worked out: " + err.message };
  }
}
