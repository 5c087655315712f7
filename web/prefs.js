// What the user has set, remembered in this browser. The API key is forgotten
// with the tab.

const place = "weft.prefs";

// A sampling field that is null is left out of the request, so that the server
// decides.
const blank = {
  temperature: null, top_p: null, top_k: null, min_p: null, seed: null, max_tokens: null,
  repetition_penalty: null, presence_penalty: null, frequency_penalty: null,
};

export const presets = {
  Exact: { temperature: 0 },
  Calm: { temperature: 0.4, top_p: 0.95 },
  Lively: { temperature: 0.8, top_p: 0.95, min_p: 0.02 },
  Wild: { temperature: 1.2, min_p: 0.05 },
};

const defaults = {
  sampling: { ...blank, ...presets.Calm },
  system: "",           // what new conversations begin with
  model: "",
  probabilities: true,  // ask the server for them
  colours: false,       // show them
  tools: [],            // names of tools that are switched on
};

export const prefs = load();
const listeners = new Set();

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(place)) ?? {};
    return { ...defaults, ...kept, sampling: { ...defaults.sampling, ...kept.sampling } };
  } catch {
    return structuredClone(defaults);
  }
}

// set changes preferences and tells those who listen.
export function set(change) {
  Object.assign(prefs, change);
  try {
    localStorage.setItem(place, JSON.stringify(prefs));
  } catch { /* full or off: the settings hold until the page closes */ }
  for (const fn of listeners) fn(change);
}

export const onChange = (fn) => listeners.add(fn);

export const setSampling = (field, value) => set({ sampling: { ...prefs.sampling, [field]: value } });

export const usePreset = (name) => {
  const { seed, max_tokens } = prefs.sampling; // not a matter of taste
  set({ sampling: { ...blank, seed, max_tokens, ...presets[name] } });
};

// preset names the one that the sampling equals, or "Custom".
export function preset() {
  const now = { ...prefs.sampling, seed: null, max_tokens: null };
  const same = (p) => Object.keys(blank).every((k) => (now[k] ?? null) === ({ ...blank, ...p })[k]);
  return Object.keys(presets).find((name) => same(presets[name])) ?? "Custom";
}

export const key = () => sessionStorage.getItem("weft.key") ?? "";
export const setKey = (k) => sessionStorage.setItem("weft.key", k.trim());
