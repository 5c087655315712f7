// What the walks through the page share: a browser that records everything
// that may not happen, screenshots, and checks.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const url = process.env.WEFT_URL;
const shots = process.env.WEFT_PAGE_SHOTS;
mkdirSync(shots, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.WEFT_CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
let failed = 0;

export const desktop = { viewport: { width: 1280, height: 820 } };
export const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
export const dark = { colorScheme: "dark" };

// walk opens a fresh browser profile and takes fn through it. expect lists the
// messages of the console that belong to the walk, such as a refusal.
export async function walk(name, options, fn, expect = []) {
  const context = await browser.newContext({ ...desktop, ...options, acceptDownloads: true });
  const page = await context.newPage(), wrong = [];
  page.setDefaultTimeout(60_000);
  page.on("console", (m) => {
    if (["error", "warning"].includes(m.type()) && !expect.some((re) => re.test(m.text()))) wrong.push(`console: ${m.text()} (${m.location().url})`);
  });
  page.on("pageerror", (e) => wrong.push("error of the page: " + e.stack));
  page.on("dialog", (d) => { wrong.push("dialog: " + d.message()); d.dismiss(); });
  context.on("request", (r) => {
    if (!r.url().startsWith(url + "/") && !r.url().startsWith("blob:" + url)) wrong.push("request off the origin: " + r.url());
  });
  const start = Date.now();
  try {
    await page.goto(url + "/");
    await fn(page, (step) => page.screenshot({ path: join(shots, `${name}-${step}.png`) }));
  } catch (err) {
    wrong.push(err.stack);
    await page.screenshot({ path: join(shots, name + "-FAILED.png") }).catch(() => {});
  }
  await context.close();
  console.log(`${wrong.length ? "FAIL" : "ok  "} ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  for (const w of wrong) console.log("     " + w);
  failed += wrong.length;
}

export async function finish() {
  await browser.close();
  process.exit(failed ? 1 : 0);
}

export function check(ok, what) {
  if (!ok) throw new Error("want " + what);
}

export function equal(got, want, what) {
  check(got === want, `${what} ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}

// idle waits for the end of the answer that is being written.
export const idle = (page) => page.waitForFunction(() => document.getElementById("log").getAttribute("aria-busy") === "false" && document.querySelector(".turn.assistant") !== null);

export async function type(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

export async function ask(page, text) {
  await type(page, text);
  await page.waitForFunction((t) => [...document.querySelectorAll(".turn.user")].some((n) => n.textContent.includes(t.slice(0, 100))), text);
  await idle(page);
}

export const turns = (page, role) => page.locator(".turn." + role);
export const last = (page) => turns(page, "assistant").last();
export const said = async (page) => (await last(page).locator(".body").innerText()).trim();
export const users = async (page) => (await turns(page, "user").locator(".words").allInnerTexts()).join(" | ");

// stats are the live figures of the first model.
export const stats = (page, key = "") => page.evaluate(async (key) => (await (await fetch("/api/models", { headers: { Authorization: "Bearer " + key } })).json()).models[0].stats, key);

// until waits for what another process brings about.
export async function until(fn, what) {
  for (let i = 0; !(await fn()); i++) {
    check(i < 100, what);
    await new Promise((r) => setTimeout(r, 100));
  }
}

// fits fails when the page is wider than the screen, or holds a control without
// a name or an id that is there twice.
export async function fits(page) {
  const found = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((n) => n.id), twice = ids.filter((id, i) => ids.indexOf(id) !== i);
    const shown = [...document.querySelectorAll("button, a, input, textarea, select")].filter((n) => n.checkVisibility());
    const nameless = shown.filter((n) => !(n.getAttribute("aria-label") || n.textContent.trim() || n.labels?.length)).map((n) => n.outerHTML.slice(0, 80));
    return { wide: document.documentElement.scrollWidth - innerWidth, twice, nameless };
  });
  check(found.wide <= 0 && !found.twice.length && !found.nameless.length, "a page that fits the screen, with names for its controls, got " + JSON.stringify(found));
}
