// The page: which view is open, the models, the theme, the keyboard.

import { models } from "./api.js";
import { markBase } from "./ask.js";
import { Chat } from "./chat.js";
import { $, el, icon, notice } from "./dom.js";
import { ModelsView } from "./models.js";
import { onChange, prefs, set } from "./prefs.js";
import { Settings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { TrainingView } from "./training.js";

let served = []; // what the server offers, as api.models gives it

const info = (id) => served.find((m) => m.id === id);
const model = () => (info(prefs.model) ?? served[0])?.id ?? "";
const go = (hash) => { if (location.hash === hash) route(); else location.hash = hash; };

const chat = new Chat({ model, info, needKey: () => settings.askForKey(), exportOne: (c) => sidebar.exportOne(c), opened });
const sidebar = new Sidebar(chat, go);
const settings = new Settings({ system: (t) => chat.setSystem(t), key: loadModels });
const views = { chat: null, models: new ModelsView($("models"), { use: useModel }), training: new TrainingView($("training"), go) };

// ---- where we are: #/chat, #/chat/ID, #/models, #/training, #/training/ID

async function route() {
  const [, name = "chat", ...rest] = location.hash.split("/");
  const view = name in views ? name : "chat", id = decodeURIComponent(rest.join("/"));
  for (const other of Object.keys(views)) {
    if (other !== view) views[other]?.hide();
    $(other).hidden = other !== view;
    const link = $("nav-" + other);
    if (other === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.view = view;
  drawer(false);
  if (view !== "chat") {
    if (!settings.panel.hidden) settings.show(false);
    sidebar.mark("");
    title(view === "models" ? "Models" : "Training");
    views[view].show(id);
    return;
  }
  if (await chat.open(id)) {
    opened(chat.conv);
    return;
  }
  notice("That conversation is not in this browser.");
  history.replaceState(null, "", "#/chat");
  route();
}

function opened(conv) {
  $("nav-chat").href = chat.fresh ? "#/chat" : "#/chat/" + conv.id;
  if (document.body.dataset.view !== "chat") return;
  $("nav-chat").classList.toggle("talking", !chat.fresh);
  sidebar.mark(chat.fresh ? "" : conv.id);
  settings.system.value = conv.system;
  title(chat.fresh ? "New chat" : conv.title);
}

function title(text) {
  $("title").textContent = text;
  document.title = text + " · weft";
}

// ---- models

async function loadModels() {
  const box = $("model");
  try {
    served = await models();
    for (const m of served) if (!m.brief && m.template === "") markBase(m.id);
    box.replaceChildren(...served.map((m) => new Option(m.id, m.id)));
    box.value = model();
    box.disabled = served.length < 2;
  } catch (err) {
    box.replaceChildren(new Option(err.status === 401 ? "API key needed" : "not reachable", ""));
    if (err.status === 401) settings.askForKey();
    else notice(err.message, { key: "server", bad: true, actions: [["Try again", loadModels]] });
  }
  chosen();
}

function useModel(id) {
  $("model").value = id;
  set({ model: id });
  chosen();
  go("#/chat");
}

function chosen() {
  const m = info(model());
  $("model").title = m?.context ? `context of ${m.context} tokens` : "";
  $("input").placeholder = m && !m.brief && m.template === "" ? "Text for the model to continue" : "Message " + (m?.id ?? "");
  $("tiny").hidden = !m?.tiny;
  settings.offerTools(Boolean(m?.tiny));
  if (chat.conv) chat.render();
}

// ---- theme, drawer, probabilities

const themes = [["auto", "auto", "as the system"], ["light", "sun", "light"], ["dark", "moon", "dark"]];

function theme(step) {
  const now = document.documentElement.dataset.theme ?? "auto";
  const at = (themes.findIndex(([t]) => t === now) + step) % themes.length, [name, picture, words] = themes[at];
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("weft.theme", name);
  } catch { /* for this visit, then */ }
  $("theme").replaceChildren(icon(picture));
  $("theme").title = "Theme: " + words;
  $("theme").setAttribute("aria-label", "Theme: " + words + ". Change it");
}

function drawer(open) {
  document.body.classList.toggle("drawer", open);
  $("menu").setAttribute("aria-expanded", String(open));
  $("scrim").hidden = !open;
  const narrow = matchMedia("(max-width: 52rem)").matches;
  $("sidebar").inert = narrow && !open;
  if (open) $("new-chat").focus();
}

function colours(on) {
  set({ colours: on, ...(on ? { probabilities: true } : {}) });
}

function drawColours() {
  $("colours").setAttribute("aria-pressed", String(prefs.colours));
  if (!chat.conv) return;
  chat.render();
  chat.follow();
}

// ---- keys

const mac = /Mac|iPhone|iPad/.test(navigator.platform);
const ctrl = mac ? "⌘" : "Ctrl";
const shortcuts = [
  [[["Enter"]], "send the message"],
  [[["Shift", "Enter"]], "new line"],
  [[["Esc"]], "stop the answer; close what is open"],
  [[["↑"]], "in an empty box: edit your last message"],
  [[[ctrl, "K"]], "new chat"],
  [[["Alt", "↑"], ["Alt", "↓"]], "conversation above, below"],
  [[["Alt", "R"]], "answer again"],
  [[["Alt", "C"]], "copy the last answer"],
  [[["Alt", "P"]], "colour tokens by probability; then ← → to walk"],
  [[["Alt", "S"]], "settings"],
  [[["/"]], "search the conversations"],
  [[[ctrl, "/"], ["?"]], "this help"],
];

function help() {
  if ($("help").open) return;
  const keys = (list) => list.map((combo, i) => [i > 0 && " ", combo.map((k, j) => [j > 0 && " + ", el("kbd", { text: k })])]);
  $("help-list").replaceChildren(...shortcuts.map(([list, what]) => [el("dt", {}, keys(list)), el("dd", { text: what })]).flat());
  $("help").showModal();
}

const alt = {
  ArrowUp: () => sidebar.step(-1), ArrowDown: () => sidebar.step(1), KeyR: () => chat.regenerateLast(), KeyC: () => chat.copyLast(),
  KeyP: () => colours(!prefs.colours), KeyS: () => settings.show(settings.panel.hidden),
};

document.addEventListener("keydown", (e) => {
  const typing = e.target.matches("input, textarea, select");
  if ((mac ? e.metaKey : e.ctrlKey) && !e.shiftKey && !e.altKey && e.key.toLowerCase() === "k") newChat();
  else if (e.altKey && !e.ctrlKey && !e.metaKey && alt[e.code]) alt[e.code]();
  else if (e.key === "Escape" && !document.querySelector("dialog[open]")) escape();
  else if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey) { drawer(matchMedia("(max-width: 52rem)").matches); $("search").focus(); }
  else if ((e.key === "?" && !typing) || (e.key === "/" && (mac ? e.metaKey : e.ctrlKey))) help();
  else return;
  e.preventDefault();
});

function escape() {
  if (document.body.classList.contains("drawer")) drawer(false);
  else if (!settings.panel.hidden) settings.show(false);
  else if (chat.conv) chat.stop();
}

function newChat() {
  if (chat.fresh) chat.conv = null; // an unsent one begins anew, too
  go("#/chat");
  chat.composer.focus();
}

// ---- start

$("new-chat").addEventListener("click", newChat);
$("menu").addEventListener("click", () => drawer(!document.body.classList.contains("drawer")));
$("scrim").addEventListener("click", () => drawer(false));
$("settings-toggle").addEventListener("click", () => settings.show(settings.panel.hidden));
$("panel-close").addEventListener("click", () => settings.show(false));
$("system-edit").addEventListener("click", () => { settings.show(true); settings.system.focus(); });
$("colours").addEventListener("click", () => colours(!prefs.colours));
$("theme").addEventListener("click", () => theme(1));
$("help-open").addEventListener("click", help);
$("keys-open").addEventListener("click", help);
$("help-close").addEventListener("click", () => $("help").close());
$("model").addEventListener("change", () => { set({ model: $("model").value }); chosen(); });
for (const node of document.querySelectorAll("[data-icon]")) node.prepend(icon(node.dataset.icon));
onChange((c) => { if ("colours" in c) drawColours(); });
addEventListener("hashchange", route);
matchMedia("(max-width: 52rem)").addEventListener("change", () => drawer(false));

theme(0);
drawColours();
await loadModels();
route();
