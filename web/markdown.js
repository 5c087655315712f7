// Markdown as a model writes it, drawn as DOM nodes. Raw HTML is text, images
// are links, links lead only to http, https and mailto. No text of a model is
// ever parsed as HTML.

import { copy, el, icon } from "./dom.js";

const maxDepth = 8;        // of quotes and lists within each other; deeper is text
const maxInline = 20_000;  // characters of one paragraph; longer is text

// View draws a growing text into an element. Blocks that did not change since
// the last update keep their nodes, and with them the reader's selection.
export class View {
  constructor(root) {
    this.root = root;
    this.raws = [];
  }

  update(text) {
    const next = blocks(text.replaceAll("\r\n", "\n").replaceAll("\t", "    ").split("\n"), 0);
    let same = 0;
    while (same < next.length && same < this.raws.length && next[same].raw === this.raws[same]) same++;
    while (this.root.childNodes.length > same) this.root.lastChild.remove();
    this.root.append(...next.slice(same).map(draw));
    this.raws = next.map((b) => b.raw);
  }
}

// render draws a whole text once.
export function render(text) {
  const root = el("div", { class: "prose" });
  new View(root).update(text);
  return root;
}

// ---- blocks

const fence = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const rule = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const quote = /^ {0,3}> ?/;
const bullet = /^( {0,3})([-*+]|\d{1,9}[.)])( +)(?=\S)/;
const tableLine = /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

// blocks cuts lines into blocks: {kind, raw, ...}; raw identifies a block.
function blocks(lines, depth) {
  const out = [];
  let i = 0;
  const take = (kind, from, more) => out.push({ kind, raw: kind + "\n" + lines.slice(from, i).join("\n"), ...more });
  while (i < lines.length) {
    const from = i, line = lines[i];
    let m;
    if (line.trim() === "") i++;
    else if ((m = fence.exec(line))) take("code", from, { lang: m[2], code: fenced(m[1]) });
    else if ((m = heading.exec(line))) { i++; take("heading", from, { level: m[1].length, text: m[2] }); }
    else if (rule.test(line)) { i++; take("rule", from); }
    else if (quote.test(line) && depth < maxDepth) {
      while (i < lines.length && (quote.test(lines[i]) || (lines[i].trim() !== "" && !starts(lines[i])))) i++;
      take("quote", from, { blocks: blocks(lines.slice(from, i).map((l) => l.replace(quote, "")), depth + 1) });
    } else if (bullet.test(line) && depth < maxDepth) take("list", from, list());
    else if (line.includes("|") && tableLine.test(lines[i + 1] ?? "") && cells(line).length === cells(lines[i + 1]).length) {
      i += 2;
      while (i < lines.length && lines[i].includes("|")) i++;
      take("table", from, { rows: lines.slice(from, i) });
    } else {
      do i++; while (i < lines.length && lines[i].trim() !== "" && !starts(lines[i]));
      take("text", from, { text: lines.slice(from, i).join("\n") });
    }
  }
  return out;

  // fenced takes lines up to the closing fence, or to the end while it is
  // still being written.
  function fenced(mark) {
    const body = [], end = new RegExp(`^ {0,3}[${mark[0]}]{${mark.length},}\\s*$`);
    for (i++; i < lines.length && !end.test(lines[i]); i++) body.push(lines[i]);
    i++;
    return body.join("\n");
  }

  // list takes items of one kind; an item's further lines are indented.
  function list() {
    const first = bullet.exec(lines[i])[2], ordered = /\d/.test(first), items = [];
    let loose = false;
    for (let m; i < lines.length && (m = bullet.exec(lines[i])) && /\d/.test(m[2]) === ordered && !rule.test(lines[i]);) {
      const indent = m[0].length, item = [lines[i].slice(indent)];
      for (i++; i < lines.length; i++) {
        const line = lines[i], pad = /^ */.exec(line)[0].length;
        if (line.trim() === "") {
          const next = lines[i + 1] ?? "", in_ = /^ */.exec(next)[0].length >= Math.min(indent, 2);
          if (next.trim() === "" || !(in_ || bullet.test(next))) break;
          loose = true;
          item.push("");
        } else if (pad >= Math.min(indent, 2) && pad > m[1].length) item.push(line.slice(Math.min(pad, indent)));
        else if (!starts(line) && !bullet.test(line) && item.at(-1) !== "") item.push(line);
        else break;
      }
      items.push(blocks(item, depth + 1));
    }
    return { ordered, start: ordered ? parseInt(first, 10) : 1, items, loose };
  }
}

// starts says whether a line begins a block of its own within a paragraph. A
// numbered list must begin with 1 there: "1986. A good year." is a sentence.
const firstItem = /^ {0,3}([-*+]|1[.)]) +\S/;
const starts = (line) => [fence, heading, rule, quote, firstItem].some((re) => re.test(line));

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((c) => c.trim().replaceAll("\\|", "|"));

// draw makes a block's node.
function draw(b) {
  switch (b.kind) {
    case "code": return codeBlock(b.lang, b.code);
    case "heading": return el("h" + Math.min(6, b.level + 2), {}, inline(b.text)); // the page has h1 and h2 itself
    case "rule": return el("hr");
    case "quote": return el("blockquote", {}, b.blocks.map(draw));
    case "list": return el(b.ordered ? "ol" : "ul", { start: b.ordered && b.start !== 1 && b.start }, b.items.map((item) => listItem(item, b.loose)));
    case "table": return table(b.rows);
    default: return el("p", {}, inline(b.text));
  }
}

function listItem(item, loose) {
  const box = /^\[([ xX])\]\s+/.exec(item[0]?.kind === "text" ? item[0].text : "");
  const kids = item.map((b) => {
    if (b.kind !== "text") return draw(b);
    const nodes = inline(box && b === item[0] ? b.text.slice(box[0].length) : b.text);
    return loose ? el("p", {}, nodes) : nodes;
  });
  if (!box) return el("li", {}, kids);
  return el("li", { class: "task" }, el("input", { type: "checkbox", disabled: true, checked: box[1] !== " ", "aria-label": "done" }), " ", kids);
}

function table(rows) {
  const align = cells(rows[1]).map((c) => (c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : null));
  const row = (line, tag) => el("tr", {}, cells(line).slice(0, align.length).map((c, i) => el(tag, { class: align[i] }, inline(c))));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" },
    el("table", {}, el("thead", {}, row(rows[0], "th")), el("tbody", {}, rows.slice(2).map((r) => row(r, "td")))));
}

export function codeBlock(lang, code) {
  const button = el("button", { type: "button", class: "small quiet", "aria-label": "Copy the code", onclick: () => copy(code, button) }, icon("copy"), "Copy");
  return el("figure", { class: "code" },
    el("figcaption", {}, el("span", { text: lang || "text" }), button),
    el("pre", { tabindex: 0 }, el("code", { text: code })));
}

// ---- inline

const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const bareURL = /https?:\/\/[^\s<>"'`]+/y;
const angleURL = /<((?:https?:|mailto:)[^\s<>]+)>/y;

// inline draws a paragraph's text. Emphasis follows CommonMark's delimiter
// stack, so the work is linear in the text.
function inline(src) {
  if (src.length > maxInline) return [src];
  const items = [], brackets = [], noClose = new Set();
  let text = "", i = 0;
  const flush = () => { if (text) items.push(document.createTextNode(text)); text = ""; };
  const push = (item) => { flush(); items.push(item); };
  const at = (re) => { re.lastIndex = i; return re.exec(src); };
  while (i < src.length) {
    const c = src[i];
    let m;
    if (c === "\\" && punctuation.includes(src[i + 1] ?? " ")) { text += src[i + 1]; i += 2; }
    else if (c === "\n") { if (/( {2}|\\)$/.test(text)) { text = text.replace(/ +$|\\$/, ""); push(el("br")); } else text += "\n"; i++; }
    else if (c === "`") codeSpan();
    else if (c === "*" || c === "_" || c === "~") delimiter(c);
    else if (c === "[" || (c === "!" && src[i + 1] === "[")) {
      push({ bracket: c === "!" ? "![" : "[" });
      brackets.push(items.length - 1);
      i += c === "!" ? 2 : 1;
    } else if (c === "]" && brackets.length) closeBracket();
    else if (c === "<" && (m = at(angleURL))) { push(link(m[1], [m[1]])); i += m[0].length; }
    else if (c === "h" && !/\w$/.test(text) && (m = at(bareURL))) {
      const url = m[0].replace(/[.,;:!?*_~]+$/, "").replace(/^([^(]*)\)+$/, "$1");
      push(link(url, [url]));
      i += url.length;
    } else { text += c; i++; }
  }
  flush();
  return emphasise(items);

  function codeSpan() {
    const ticks = /`+/y;
    ticks.lastIndex = i;
    const run = ticks.exec(src)[0];
    if (!noClose.has(run.length)) {
      const closing = new RegExp("(?<!`)`{" + run.length + "}(?!`)", "g");
      closing.lastIndex = i + run.length;
      const end = closing.exec(src);
      if (end) {
        let code = src.slice(i + run.length, end.index).replaceAll("\n", " ");
        if (/^ .*\S.* $/.test(code)) code = code.slice(1, -1);
        push(el("code", { text: code }));
        i = end.index + run.length;
        return;
      }
      noClose.add(run.length);
    }
    text += run;
    i += run.length;
  }

  function delimiter(c) {
    let n = 1;
    while (src[i + n] === c) n++;
    const before = src[i - 1] ?? " ", after = src[i + n] ?? " ";
    const space = /\s/, mark = /[\p{P}\p{S}]/u;
    const left = !space.test(after) && (!mark.test(after) || space.test(before) || mark.test(before));
    const right = !space.test(before) && (!mark.test(before) || space.test(after) || mark.test(after));
    const word = c === "_"; // no emphasis within words
    push({ c, n, open: left && (!word || !right || mark.test(before)), close: right && (!word || !left || mark.test(after)) });
    i += n;
  }

  // closeBracket ends a link if its target follows, else the brackets are text.
  function closeBracket() {
    flush();
    const open = brackets.pop(), target = /\]\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+"[^"]*")?\s*\)/y;
    target.lastIndex = i;
    const m = target.exec(src);
    if (!m) { text += "]"; i++; return; }
    const image = items[open].bracket === "![", inner = emphasise(items.splice(open).slice(1));
    items.push(link(m[1], image ? ["image: ", ...inner] : inner));
    if (!image) brackets.length = 0; // no links within links
    i += m[0].length;
  }
}

// emphasise pairs the delimiters of items and returns nodes.
function emphasise(items) {
  const open = []; // indices of delimiters that may still open
  const out = [];
  for (const item of items) {
    if (item instanceof Node) { out.push(item); continue; }
    if (item.bracket) { out.push(document.createTextNode(item.bracket)); continue; }
    let { n } = item;
    while (item.close && n > 0) {
      let k = open.length - 1;
      while (k >= 0 && out[open[k]].c !== item.c) k--;
      if (k < 0) break;
      const start = out[open[k]], size = item.c === "~" ? 2 : Math.min(2, n, start.n);
      if (size > n || size > start.n) break;
      const inner = out.splice(open[k] + 1).map(settle);
      open.length = k + 1;
      out.push(el(item.c === "~" ? "del" : size === 2 ? "strong" : "em", {}, inner));
      start.n -= size;
      n -= size;
      if (start.n === 0) { out.splice(open[k], 1); open.pop(); }
    }
    if (n > 0) {
      out.push({ c: item.c, n });
      if (item.open) open.push(out.length - 1);
    }
  }
  return out.map(settle);
}

const settle = (x) => (x instanceof Node ? x : document.createTextNode(x.c.repeat(x.n)));

// link leads away from this page, and says so; what is no web or mail address
// is text. The host is shown, so that words cannot hide it.
function link(target, children) {
  let url = null;
  try {
    url = new URL(target);
  } catch { /* relative or broken */ }
  if (!url || !["http:", "https:", "mailto:"].includes(url.protocol)) return el("span", {}, children, target ? ` (${target})` : "");
  const a = el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", title: url.href }, children);
  const where = url.host || url.pathname;
  if (!a.textContent.includes(where)) a.append(el("small", { text: ` (${where})` }));
  a.append(icon("out"));
  return a;
}
