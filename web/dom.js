// Building blocks of the page: elements, icons, notices, dialogs. Every node
// is made here from parts; nothing is ever parsed as HTML.

const svgNS = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

// el makes an element. Props: class, text, on<event> functions, and attributes;
// false, null and undefined leave an attribute out.
export function el(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

// svg is el for drawings.
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(svgNS, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// Paths in a box of 24, drawn with strokes of the text's colour.
const paths = {
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h10",
  close: "M6 6l12 12M18 6L6 18",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h10v10H9zM5 15V5h10",
  check: "M5 12.5l4.5 4.5L19 7.5",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  redo: "M19 8a8 8 0 1 0 1.5 6M20 3v5h-5",
  play: "M8 5.5v13l10-6.5z",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  bars: "M5 19v-6M10 19V9M15 19v-9M20 19V5",
  sliders: "M4 7h9M17 7h3M4 17h3M11 17h9M13 4.5v5M7 14.5v5",
  chat: "M5 5h14v10H10l-5 4z",
  chip: "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4",
  curve: "M4 4v16h16M8 8c2 6 5 8 11 8",
  search: "M10.5 17a6.5 6.5 0 1 1 0-13 6.5 6.5 0 0 1 0 13zM15.5 15.5L20 20",
  dots: "M5 12h.01M12 12h.01M19 12h.01",
  sun: "M12 16a4 4 0 1 1 0-8 4 4 0 0 1 0 8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M5 19l1.5-1.5M17.5 6.5L19 5",
  moon: "M19.5 14A8 8 0 0 1 10 4.5 8 8 0 1 0 19.5 14z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  help: "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18zM9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 16.5h.01",
  wrench: "M14.5 6.5a4 4 0 0 1 5-1l-3 3 .5 1.5 1.5.5 3-3a4 4 0 0 1-5.5 5L8 20.5 4.5 17l8-8a4 4 0 0 1 2-2.5z",
  out: "M9 6h9v9M18 6L7 17",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13",
};

export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: paths[name] }));
}

// iconButton has a picture and a name that only assistive technology and the
// tooltip say.
export function iconButton(name, label, onclick, props = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

// notice shows a message in the corner. One with a key replaces the last of
// that key; an error stays until it is closed.
export function notice(text, { key, bad = false, actions = [] } = {}) {
  dismiss(key);
  const box = el("div", { class: "notice" + (bad ? " bad" : ""), role: bad ? "alert" : "status", "data-key": key });
  const act = actions.map(([label, fn]) => el("button", { type: "button", class: "small", onclick: () => { box.remove(); fn(); } }, label));
  box.append(el("p", { text }), el("div", { class: "row" }, act, iconButton("close", "Close this notice", () => box.remove())));
  $("notices").append(box);
  if (!bad) setTimeout(() => box.remove(), actions.length ? 15_000 : 6_000);
}

export function dismiss(key) {
  if (key) $("notices").querySelector(`[data-key="${CSS.escape(key)}"]`)?.remove();
}

// say tells assistive technology something, once.
export function say(text) {
  $("live").textContent = text;
}

// ask opens a dialog with a question and resolves to the text, to true for a
// question without a field, or to null when it was closed.
export function ask({ title, text, value, yes = "OK", danger = false }) {
  return new Promise((resolve) => {
    const field = value === undefined ? null : el("input", { class: "field", value, "aria-label": title, maxlength: 200 });
    const answer = (v) => { box.close(); resolve(v); };
    const form = el("form", { onsubmit: (e) => { e.preventDefault(); answer(field ? field.value : true); } },
      el("h2", { text: title }), text && el("p", { text }), field,
      el("div", { class: "row end" },
        el("button", { type: "button", onclick: () => answer(null) }, "Cancel"),
        el("button", { type: "submit", class: danger ? "danger" : "primary" }, yes)));
    const box = el("dialog", { class: "ask", "aria-label": title, onclose: () => { box.remove(); resolve(null); } }, form);
    document.body.append(box);
    box.showModal();
    field?.select();
  });
}

// menu opens a list of commands at a button; Escape and a click elsewhere close
// it. Entries are [label, function] or null for a line.
export function menu(button, entries) {
  const items = entries.map((e) => e === null
    ? el("hr")
    : el("button", { type: "button", role: "menuitem", class: e[2] ?? null, onclick: () => { close(); e[1](); } }, e[0]));
  const box = el("div", { class: "menu", role: "menu", onkeydown: keys }, items);
  const outside = (e) => { if (!box.contains(e.target)) close(); };
  const close = () => { box.remove(); document.removeEventListener("pointerdown", outside, true); button.setAttribute("aria-expanded", "false"); button.focus(); };
  function keys(e) {
    const all = [...box.querySelectorAll("button")], at = all.indexOf(document.activeElement);
    if (e.key === "Escape" || e.key === "Tab") { e.preventDefault(); e.stopPropagation(); close(); }
    if (e.key === "ArrowDown") { e.preventDefault(); all[(at + 1) % all.length].focus(); }
    if (e.key === "ArrowUp") { e.preventDefault(); all[(at + all.length - 1) % all.length].focus(); }
  }
  document.body.append(box);
  const b = button.getBoundingClientRect();
  box.style.left = Math.max(8, Math.min(b.right - box.offsetWidth, innerWidth - box.offsetWidth - 8)) + "px";
  box.style.top = (b.bottom + box.offsetHeight + 8 < innerHeight ? b.bottom + 4 : b.top - box.offsetHeight - 4) + "px";
  document.addEventListener("pointerdown", outside, true);
  button.setAttribute("aria-expanded", "true");
  box.querySelector("button")?.focus();
}

// copy puts text on the clipboard; pages without TLS have no clipboard object.
export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "sr" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (!button) return;
  const was = [...button.childNodes];
  button.replaceChildren(icon("check"), ...was.filter((n) => n.nodeType === Node.TEXT_NODE));
  say("Copied");
  setTimeout(() => button.replaceChildren(...was), 1200);
}

// download hands the browser a file.
export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
