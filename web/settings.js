// The settings panel: sampling, the system prompt, tools, the key.

import { $, el } from "./dom.js";
import { key, onChange, preset, prefs, presets, set, setKey, setSampling, usePreset } from "./prefs.js";
import { definitions } from "./tools.js";

// field, name, hint, least, most, step; a slider where the range is short.
const dials = [
  ["temperature", "Temperature", "How freely words are drawn; 0 always takes the likeliest.", 0, 2, 0.05, true],
  ["top_p", "Top-p", "Draw from the likeliest words that make up this share.", 0, 1, 0.01, true],
  ["max_tokens", "Longest answer", "Tokens; empty: as the context allows.", 1, 1e6, 1],
  ["top_k", "Top-k", "Draw from this many likeliest words.", 1, 1e6, 1],
  ["min_p", "Min-p", "Leave out words below this share of the likeliest one.", 0, 1, 0.01, true],
  ["seed", "Seed", "The same seed gives the same answer; empty: a new one each time.", 0, Number.MAX_SAFE_INTEGER, 1],
  ["repetition_penalty", "Repetition penalty", "Above 1, words that came already get rarer.", 0.01, 10, 0.05],
  ["presence_penalty", "Presence penalty", "Above 0, words that came once get rarer.", -2, 2, 0.1],
  ["frequency_penalty", "Frequency penalty", "Above 0, words get rarer each time they come.", -2, 2, 0.1],
];
const plain = 3; // dials that are shown at once

export class Settings {
  // hooks: system(text) when the prompt changes, key() when a key was entered.
  constructor(hooks) {
    this.panel = $("panel");
    this.system = el("textarea", { id: "system", "aria-label": "System prompt", rows: 4, class: "field", placeholder: "How the model should behave (optional)", oninput: () => { set({ system: this.system.value }); hooks.system(this.system.value); } });
    this.presets = el("div", { class: "segments", role: "group", "aria-label": "Preset" });
    this.fields = new Map();
    this.tools = el("div", { class: "stack" });
    this.key = el("input", { id: "key", "aria-label": "API key", class: "field", type: "password", autocomplete: "off", spellcheck: "false", placeholder: "only if the server asks for one",
      onchange: () => { setKey(this.key.value); this.key.classList.remove("wanted"); hooks.key(); } });
    this.key.value = key();
    const logprobs = el("input", { type: "checkbox", onchange: () => set({ probabilities: logprobs.checked }) });
    logprobs.checked = prefs.probabilities;
    $("panel-body").append(
      part("System prompt", this.system, hint("For this conversation, and what new ones begin with.")),
      part("Sampling", this.presets, dials.slice(0, plain).map((d) => this.dial(...d)),
        el("details", { class: "more" }, el("summary", { text: "More" }), dials.slice(plain).map((d) => this.dial(...d)))),
      this.toolPart = part("Tools", this.tools, hint("The model may ask for these; you fill in what they answer. The calculator works itself out in this page.")),
      part("Answers", el("label", { class: "check" }, logprobs, "Ask for the probability of each token")),
      part("API key", this.key, hint("Kept until this tab closes, and sent to this server only.")));
    this.toolPart.hidden = true;
    onChange((c) => { if (c.sampling) this.draw(); });
    this.draw();
  }

  dial(field, name, help, min, max, step, slide) {
    const change = (e) => setSampling(field, e.target.value === "" || !e.target.validity.valid ? null : Number(e.target.value));
    const id = "dial-" + field;
    const box = el("input", { id, class: "field", type: "number", min, max, step: "any", placeholder: "default", inputmode: "decimal", "aria-describedby": id + "-help", onchange: change });
    if (step === 1) box.step = 1;
    const range = slide && el("input", { type: "range", min, max, step, "aria-label": name, tabindex: -1, oninput: change });
    this.fields.set(field, { box, range });
    return el("div", { class: "dial" }, el("label", { for: id, text: name }), box, range, el("small", { id: id + "-help", class: "soft", text: help }));
  }

  draw() {
    const now = preset();
    this.presets.replaceChildren(...[...Object.keys(presets), ...(now === "Custom" ? ["Custom"] : [])].map((name) =>
      el("button", { type: "button", "aria-pressed": String(name === now), onclick: () => usePreset(name), disabled: name === "Custom" }, name)));
    for (const [field, { box, range }] of this.fields) {
      const v = prefs.sampling[field];
      if (document.activeElement !== box) box.value = v ?? "";
      if (range && document.activeElement !== range) range.value = v ?? { temperature: 1, top_p: 1, min_p: 0 }[field];
    }
  }

  // offerTools shows the small world's tools for a model that was taught them.
  async offerTools(tiny) {
    const defs = tiny ? await definitions() : [];
    this.toolPart.hidden = defs.length === 0;
    this.tools.replaceChildren(...defs.map(({ function: f }) => {
      const box = el("input", { type: "checkbox", onchange: () => set({ tools: box.checked ? [...prefs.tools, f.name] : prefs.tools.filter((t) => t !== f.name) }) });
      box.checked = prefs.tools.includes(f.name);
      return el("label", { class: "check" }, box, el("span", {}, el("b", { text: f.name }), el("small", { class: "soft", text: f.description })));
    }));
  }

  show(on) {
    this.panel.hidden = !on;
    $("settings-toggle").setAttribute("aria-expanded", String(on));
    if (on) this.panel.querySelector("button, textarea, input").focus();
    else $("settings-toggle").focus();
  }

  askForKey() {
    this.show(true);
    this.key.classList.add("wanted");
    this.key.focus();
  }
}

const part = (title, ...children) => el("section", { class: "part" }, el("h3", { text: title }), children);
const hint = (text) => el("p", { class: "soft hint", text });
