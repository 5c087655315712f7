// The page over the built program: a key, a real engine, a training run.

import { ask, check, dark, equal, finish, fits, idle, last, phone, said, stats, type, until, url, walk } from "./kit.mjs";

const key = process.env.WEFT_KEY;

// enter gives the page the key, as a person would.
async function enter(page) {
  const field = page.locator("#key");
  await field.waitFor();
  await field.fill(key);
  await field.press("Enter");
  await page.locator("#model option", { hasText: "tiny" }).waitFor({ state: "attached" });
  await page.getByRole("button", { name: "Close the settings" }).click();
}

const noKey = /status of 401/;

await walk("live-chat", {}, async (page, shot) => {
  await enter(page);
  await page.getByRole("button", { name: "Settings", exact: true }).click();
  await page.getByLabel("Longest answer").fill("5");
  await page.locator("#dial-temperature").fill("0");
  await page.getByRole("button", { name: "Close the settings" }).click();
  await ask(page, "What does bread cost?"); // the model knows one answer by heart
  check((await said(page)).length > 0, "an answer");
  const facts = await last(page).locator(".facts").innerText();
  check(/prompt \d+ .*output \d+ · [\d,.]+ tokens\/s · first after [\d,]+ ms/.test(facts), "the figures of the answer, got " + facts);
  await page.keyboard.press("Alt+p");
  await last(page).locator(".tok").first().hover();
  check((await page.getByRole("tooltip").locator("li").count()) >= 5, "five alternatives");
  await shot("tokens");
  await last(page).hover();
  await last(page).getByRole("button", { name: "Answer again" }).click();
  await page.waitForFunction(() => document.querySelector(".turn.assistant .versions")?.textContent === "2/2");
  await idle(page);
  const cut = await said(page);
  check((await last(page).locator(".facts").innerText()).includes("output 5 "), "five tokens of answer");
  await last(page).getByRole("button", { name: "Continue" }).click();
  await page.waitForFunction(() => / output (?!5 )/.test([...document.querySelectorAll(".turn.assistant .facts")].at(-1).textContent));
  await idle(page);
  check((await said(page)).startsWith(cut) && !(await page.locator("#refusal").isVisible()), "the cut answer gone on with");
  await type(page, "too long ".repeat(3_000));
  await page.locator("#refusal").getByText(/Too long for this model: [\d,]+ tokens, and 256 fit/).waitFor();
  await shot("refused");
}, [noKey, /status of 400/]);

await walk("live-leave", {}, async (page) => {
  await enter(page);
  await page.evaluate((key) => { // one request after the other for many long answers, until the page is left
    const headers = { Authorization: "Bearer " + key, "Content-Type": "application/json" };
    const body = JSON.stringify({ stream: true, n: 64, ignore_eos: true, messages: [{ role: "user", content: "Tell me something long" }] });
    const more = () => fetch("/v1/chat/completions", { method: "POST", headers, body }).then((r) => r.text()).then(more);
    more();
  }, key);
  await until(async () => (await stats(page, key)).pages_used > 0, "pages of the cache in use");
  await page.reload();
  await until(async () => { const s = await stats(page, key); return s.running === 0 && s.waiting === 0 && s.pages_used === 0; }, "no page of the cache in use after the browser left");
}, [noKey]);

await walk("live-models", {}, async (page, shot) => {
  await enter(page);
  await page.getByRole("link", { name: "Models" }).click();
  const card = page.locator(".card.model");
  await card.locator(".tile").first().waitFor();
  const text = await card.innerText();
  for (const want of ["llama", "256 tokens", "weft", "Running", "Waiting", "pages", "loaded", "takes", "unloads in"]) check(text.includes(want), `the model's ${want}, got ${text}`);
  check(/Memory for models\s+.+ of 954 MiB/.test(await page.locator("#models").innerText()), "the memory for models");
  await shot("models");
  await card.getByRole("button", { name: "Chat" }).click();
  await page.getByLabel("Message", { exact: true }).waitFor();
}, [noKey]);

await walk("live-training", {}, async (page, shot) => {
  await enter(page);
  await page.getByRole("link", { name: "Training" }).click();
  await page.getByRole("heading", { name: "live", level: 2 }).waitFor();
  await page.locator(".run-head .state.running").waitFor();
  await page.locator(".chart .series path").first().waitFor();
  const step = () => page.locator(".run .tile b").first().innerText().then((t) => Number(t.split("/")[0].replace(/\D/g, "")));
  const curve = () => page.locator(".series path").first().getAttribute("d");
  const line = await curve(), first = await step();
  await until(async () => (await step()) > first && (await curve()) !== line, "the step and the curve to move on while the page looks on");
  check(/to go$/.test(await page.locator(".eta").innerText()), "an estimate of the end");
  await page.locator(".plot").first().hover();
  equal(await page.locator(".cross line").count() >= 3, true, "crosshairs on all charts");
  check(/training\s+\d/.test(await page.locator(".readout").first().innerText()), "the values under the pointer");
  await shot("curves");
  await page.getByLabel("Log scale").check();
  await page.getByRole("button", { name: "Tokens", exact: true }).click();
  await page.locator(".plot").first().focus();
  await page.keyboard.press("ArrowLeft");
  await shot("log");
  await fits(page);
}, [noKey]);

await walk("live-training-phone", { ...phone, ...dark }, async (page, shot) => {
  await enter(page);
  await page.goto(url + "/#/training");
  await page.getByRole("link", { name: /live/ }).click();
  await page.locator(".chart .series path").first().waitFor();
  await fits(page);
  await shot("run");
  await page.getByRole("link", { name: "All runs" }).click();
  await page.locator(".runs").waitFor();
  await shot("runs");
}, [noKey]);

await finish();
