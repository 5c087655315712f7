// The page over a model whose every answer is known.

import { readFileSync } from "node:fs";
import { ask, check, dark, equal, finish, fits, idle, last, phone, said, stats, turns, type, until, url, users, walk } from "./kit.mjs";

const refusal = /status of 400/;

await walk("chat", {}, async (page, shot) => {
  await page.getByText("Ask about a small town.").waitFor();
  check((await page.locator("#welcome").innerText()).includes("tiny model"), "the page to say that the model is tiny");
  await shot("welcome");
  await page.getByRole("button", { name: "Who sells bread?" }).click();
  await idle(page);
  equal(await said(page), "Answer 1 to: Who sells bread?", "the answer");
  const facts = await last(page).locator(".facts").innerText();
  check(/prompt \d+ \(\d+ cached\) · output 6 · .*tokens\/s · first after [\d,]+ ms/.test(facts), "the figures of the answer, got " + facts);
  check(/#\/chat\/.+/.test(page.url()), "an address of its own for the conversation");

  // regenerate, and walk between the versions
  await page.keyboard.press("Alt+r");
  await idle(page);
  await page.waitForFunction(() => document.querySelector(".turn.assistant .versions")?.textContent === "2/2");
  equal(await said(page), "Answer 2 to: Who sells bread?", "the new version");
  await last(page).getByRole("button", { name: "Previous version" }).click();
  equal(await said(page), "Answer 1 to: Who sells bread?", "the old version");

  // a second turn, then edit the first: a branch that keeps the other
  await ask(page, "And milk?");
  await turns(page, "user").first().hover();
  await turns(page, "user").first().getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Edit the message").fill("Who sells cheese?");
  await page.keyboard.press("Enter");
  await idle(page);
  equal(await users(page), "Who sells cheese?", "the edited branch");
  equal(await said(page), "Answer 4 to: Who sells cheese?", "its answer");
  await turns(page, "user").first().getByRole("button", { name: "Previous version" }).click();
  equal(await users(page), "Who sells bread? | And milk?", "the branch before the edit");
  equal(await said(page), "Answer 3 to: And milk?", "its last answer");
  await shot("branches");

  // arrow up edits the last message; Escape leaves it alone
  await page.getByLabel("Message", { exact: true }).focus();
  await page.keyboard.press("ArrowUp");
  equal(await page.getByLabel("Edit the message").inputValue(), "And milk?", "the last message in the editor");
  await page.keyboard.press("Escape");
  equal(await page.getByLabel("Edit the message").count(), 0, "editors open");

  // everything is there after a reload
  await page.reload();
  await turns(page, "user").nth(1).waitFor();
  equal(await users(page), "Who sells bread? | And milk?", "the conversation after a reload");
  await turns(page, "user").first().getByRole("button", { name: "Next version" }).click();
  equal(await said(page), "Answer 4 to: Who sells cheese?", "the other branch after a reload");
  await fits(page);
});

await walk("stop", {}, async (page, shot) => {
  await type(page, "slow please");
  await page.waitForFunction(() => document.querySelector(".turn.assistant .body")?.textContent.length > 100);
  await shot("streaming");
  await page.keyboard.press("Escape");
  await idle(page);
  const before = await said(page);
  check((await last(page).locator(".facts").innerText()).endsWith("stopped"), "the answer marked as stopped");
  await page.waitForTimeout(200);
  equal(await said(page), before, "the text after the stop");
  await last(page).getByRole("button", { name: "Continue" }).click();
  await idle(page);
  check((await said(page)).replace(before, "").trim() === "and went on to the end.", "the answer gone on with, got " + (await said(page)).slice(-60));
  equal(await last(page).locator(".versions").count(), 0, "versions after going on");

  // a conversation that is left goes on being written
  await type(page, "slow again");
  await page.waitForFunction(() => document.querySelectorAll(".turn.assistant").length === 2 && document.querySelectorAll(".turn.assistant")[1].textContent.length > 50);
  await page.keyboard.press("Control+k");
  await page.locator("#welcome").waitFor();
  await ask(page, "hello");
  await page.keyboard.press("Alt+ArrowDown");
  await turns(page, "user").nth(1).waitFor();
  equal(await page.locator("#log").getAttribute("aria-busy"), "true", "the first conversation at work");
  await page.getByRole("button", { name: "Stop" }).click();
  await idle(page);

  // a browser that leaves frees what the answer held; what came is kept
  await type(page, "slow once more");
  await page.waitForFunction(() => document.querySelectorAll(".turn.assistant").length === 3 && [...document.querySelectorAll(".turn.assistant")].at(-1).textContent.length > 50);
  equal((await stats(page)).running, 1, "answers being written");
  await page.reload();
  await until(async () => (await stats(page)).running === 0, "the answer to end with its reader");
  await turns(page, "user").nth(2).waitFor();
  check((await last(page).locator(".facts").innerText()).includes("incomplete"), "the answer marked as incomplete");
});

await walk("drop", {}, async (page, shot) => {
  await type(page, "hang up");
  await page.getByRole("button", { name: "Try again" }).waitFor();
  check((await last(page).locator(".body").innerText()).startsWith("half of it half of it"), "what came before the cut");
  check((await last(page).innerText()).includes("The connection was cut"), "the cut in words");
  await shot("cut");
  await ask(page, "now fail half-way");
  await last(page).getByRole("button", { name: "Try again" }).click();
  await page.waitForFunction(() => [...document.querySelectorAll(".turn.assistant")].at(-1).querySelector(".versions")?.textContent === "2/2");
  await idle(page);

  // a server that is gone
  await page.route("**/v1/chat/completions", (r) => r.abort());
  await type(page, "anyone there?");
  await page.getByText("The server cannot be reached").waitFor();
  await page.unroute("**/v1/chat/completions");
  await last(page).getByRole("button", { name: "Try again" }).click();
  await idle(page);
  check((await said(page)).startsWith("Answer"), "an answer after trying again");
}, [/ERR_INCOMPLETE_CHUNKED_ENCODING/, /ERR_FAILED/]);

await walk("prose", {}, async (page, shot) => {
  await ask(page, "show markdown");
  const body = last(page).locator(".body");
  for (const [selector, text] of [["h3", "A day in town"], ["strong", "bakery"], ["em", "seven"], ["p > code", "price(item)"], ["ol > li", "Buy bread"],
    ["del", "the mill"], ["ul > li", "apples"], ["li.task", "pears"], ["blockquote", "Quiet"], ["td.right", "3"], ["pre code", 'fmt.Println("<b>")']]) {
    check((await body.locator(selector).first().innerText()).includes(text), `${selector} with ${text}`);
  }
  equal(await body.locator("a").count(), 1, "links");
  const link = body.locator("a");
  equal(await link.getAttribute("rel"), "noopener noreferrer nofollow", "rel of the link");
  equal((await link.innerText()).replace(/\s+/g, " "), "link (example.com)", "the link, with its host");
  await shot("markdown");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await body.getByRole("button", { name: "Copy the code" }).click();
  equal(await page.evaluate(() => navigator.clipboard.readText()), 'fmt.Println("<b>")', "the copied code");

  await ask(page, "now html");
  await page.waitForTimeout(200);
  equal(await page.evaluate(() => window.broken), undefined, "window.broken");
  const html = last(page).locator(".body");
  equal(await html.locator("script, img, svg:not(.icon), a").count(), 0, "elements made from the answer's HTML");
  check((await html.innerText()).includes('<img src="/none.png" onerror="window.broken = 2">'), "the HTML as text");
  await shot("html");
  await page.keyboard.press("Alt+p");
  await last(page).locator(".tok").first().waitFor();
  equal(await page.evaluate(() => window.broken), undefined, "window.broken as tokens");
});

await walk("reasoning", {}, async (page, shot) => {
  await type(page, "think, then long");
  const thought = last(page).locator("details.thought");
  await thought.getByText("Thinking…").waitFor();
  check(!(await thought.evaluate((n) => n.open)), "the reasoning closed at first");
  await thought.locator("summary").click();
  await thought.getByText("First the").waitFor();
  await idle(page);
  equal(await thought.locator("summary").innerText(), "Reasoning", "the name of the section");
  check(await thought.evaluate((n) => n.open), "the section still open at the end");
  equal((await thought.locator(".prose").innerText()).replace(/\s+/g, " "), "First the bread, then the mill. Or <b>neither</b>.", "the reasoning");
  equal(await thought.locator("strong").innerText(), "bread", "prose in the reasoning");
  check((await said(page)).startsWith("A sentence of many."), "the answer without its reasoning");
  check(await last(page).evaluate((n) => n.firstChild.matches("details.thought")), "the section above the answer");
  await shot("open");
  await fits(page);

  // the history has it: for the model, in the browser, in files
  const sent = page.waitForRequest("**/v1/chat/completions");
  await ask(page, "and now?");
  equal((await sent).postDataJSON().messages[1].reasoning_content, "First the **bread**, then the mill.\n\nOr <b>neither</b>.", "the reasoning in the next request");
  equal(await last(page).locator("details.thought").count(), 0, "sections above an answer without reasoning");
  await page.reload();
  await turns(page, "user").nth(1).waitFor();
  await turns(page, "assistant").first().locator("summary").click();
  await turns(page, "assistant").first().getByText("First the").waitFor();
  await page.getByRole("button", { name: "Commands for think, then long" }).click({ force: true });
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "Export as Markdown" }).click()]);
  check(readFileSync(await file.path(), "utf8").includes("## Reasoning\n\nFirst the **bread**"), "the reasoning in the export");

  // stopped while it thinks: the thought is kept
  await type(page, "think again, slow");
  await last(page).getByText("Thinking…").waitFor();
  await page.keyboard.press("Escape");
  await idle(page);
  check((await last(page).locator(".facts").innerText()).endsWith("stopped"), "the answer marked as stopped");
  check((await last(page).locator("details.thought").count()) === 1, "the thought of a stopped answer");
});

await walk("tokens", {}, async (page, shot) => {
  await ask(page, "one two three four five six");
  await page.getByRole("button", { name: "Token probabilities" }).click();
  const tokens = last(page).locator(".tok");
  equal(await tokens.count(), 9, "tokens");
  equal(await tokens.allTextContents().then((t) => t.join("")), await said(page), "the text of the tokens");
  equal(await tokens.nth(5).getAttribute("class"), "tok p5", "the class of an unlikely token");
  await tokens.nth(4).hover();
  const tip = page.getByRole("tooltip");
  check((await tip.innerText()).includes("10%") && (await tip.innerText()).includes("␣other"), "the alternatives, got " + (await tip.innerText()));
  await shot("hover");
  await page.mouse.move(5, 400);
  await tokens.first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  check((await tip.innerText()).includes("70%"), "the alternatives of the token in focus");
  check((await page.evaluate(() => document.activeElement.dataset.i)) === "2", "the third token in focus");
});

await walk("settings", {}, async (page, shot) => {
  await page.keyboard.press("Alt+s");
  await page.getByRole("button", { name: "Exact" }).click();
  equal(await page.getByLabel("Temperature").first().inputValue(), "0", "the temperature of Exact");
  await page.getByText("More", { exact: true }).click();
  await page.getByLabel("Seed").fill("7");
  await page.getByLabel("Min-p").first().fill("0.05");
  await page.getByLabel("Min-p").first().press("Tab");
  equal(await page.getByRole("button", { name: "Custom" }).getAttribute("aria-pressed"), "true", "the preset after a change");
  await page.locator("#system").fill("Be brief.");
  await page.getByLabel(/^calculator/).check();
  await shot("panel");
  const sent = page.waitForRequest("**/v1/chat/completions");
  await type(page, "use a tool");
  const body = (await sent).postDataJSON();
  equal(JSON.stringify([body.temperature, body.seed, body.min_p, body.top_p, body.logprobs, body.top_logprobs]), "[0,7,0.05,null,true,5]", "the request's sampling");
  equal(body.messages[0].content, "Be brief.", "the system prompt");
  equal(body.tools.length, 1, "tools in the request");
  await page.getByText("System prompt", { exact: true }).first().waitFor();

  // the call is a card, and the page works the calculator out
  const call = last(page).locator(".call");
  check((await call.innerText()).includes("6 * (3 + 4)"), "the call's argument");
  equal(await page.getByLabel("Result of calculator").inputValue(), "42", "the calculator's result");
  await shot("call");
  await type(page, "never mind");
  await page.getByText("The model waits for its tool").waitFor();
  await page.getByLabel("Message", { exact: true }).fill("");
  await page.getByRole("button", { name: "Send the result" }).click();
  await page.getByText("The tool says 42.", { exact: true }).waitFor();
  equal(await page.locator(".turn.tool .words").innerText(), "42", "the result in the conversation");

  await page.reload();
  await page.getByText("The tool says 42.", { exact: true }).waitFor();
  await page.keyboard.press("Alt+s");
  equal(await page.getByLabel("Temperature").first().inputValue(), "0", "the temperature after a reload");
  await page.keyboard.press("Escape");
  equal(await page.locator("#panel").isVisible(), false, "the panel after Escape");
});

await walk("paste", {}, async (page, shot) => {
  await ask(page, "hello");
  const paste = "An enormous paste. ".repeat(60_000); // 1.1 MB
  await page.getByLabel("Message", { exact: true }).evaluate((n, text) => { n.value = text; n.dispatchEvent(new Event("input")); }, paste);
  await page.keyboard.press("Enter");
  const note = page.locator("#refusal");
  await note.waitFor();
  const text = await note.innerText();
  check(/28\d,\d{3} tokens, and 4,000 fit/.test(text) && text.includes("Nothing was cut"), "both counts, got " + text);
  check((await page.getByLabel("Message", { exact: true }).inputValue()) === paste, "the whole text back in the box");
  equal(await turns(page, "user").count(), 1, "messages in the conversation");
  await shot("refused");
  await page.getByLabel("Message", { exact: true }).fill("shorter");
  equal(await note.isVisible(), false, "the note while typing");
  await page.keyboard.press("Enter");
  await turns(page, "user").nth(1).waitFor();
  await idle(page);

  // an edit that is refused stays in the editor
  await turns(page, "user").last().hover();
  await turns(page, "user").last().getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Edit the message").fill("x".repeat(20_000));
  await page.keyboard.press("Enter");
  await note.waitFor();
  equal((await page.getByLabel("Edit the message").inputValue()).length, 20_000, "the length of the text in the editor");
}, [refusal]);

await walk("history", {}, async (page, shot) => {
  await ask(page, "first about apples");
  await page.keyboard.press("Control+k");
  await ask(page, "second about pears");
  const list = page.locator("#history li");
  await page.waitForFunction(() => document.querySelectorAll("#history li").length === 2);
  equal(await list.first().locator("a").getAttribute("aria-current"), "page", "the open conversation is marked");
  await page.getByLabel("Search the conversations").fill("answer");
  await page.waitForFunction(() => document.querySelectorAll("#history small").length === 2);
  await page.getByLabel("Search the conversations").fill("apples");
  await page.waitForFunction(() => document.querySelectorAll("#history li").length === 1);
  await shot("search");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.querySelectorAll("#history li").length === 2);

  const command = async (title, name) => {
    await page.getByRole("button", { name: "Commands for " + title }).click({ force: true });
    await page.getByRole("menuitem", { name }).click();
  };
  await command("second about pears", "Rename");
  await page.getByLabel("Rename the conversation").last().fill("Pears");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Pears", level: 1 }).waitFor();

  const save = async (name) => {
    const [file] = await Promise.all([page.waitForEvent("download"), command("Pears", name)]);
    return { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8") };
  };
  const json = await save("Export as JSON"), md = await save("Export as Markdown");
  equal(json.name + " " + md.name, "pears.json pears.md", "names of the files");
  check(md.text.startsWith("# Pears\n\n## You\n\nsecond about pears\n\n## Model\n\nAnswer "), "the Markdown, got " + md.text);

  await command("Pears", "Delete");
  await page.waitForFunction(() => document.querySelectorAll("#history li").length === 1);
  await page.getByRole("button", { name: "Undo" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#history li").length === 2);
  await command("Pears", "Delete");
  await page.waitForFunction(() => document.querySelectorAll("#history li").length === 1);

  for (const file of [json, md]) {
    await page.locator("#file").setInputFiles({ name: file.name, mimeType: "text/plain", buffer: Buffer.from(file.text) });
    await page.getByText(file.name + ": one conversation imported.").waitFor();
    await page.getByRole("heading", { name: "Pears", level: 1 }).waitFor();
    check((await said(page)).startsWith("Answer"), "the imported answer");
  }
  await page.locator("#file").setInputFiles({ name: "bad.json", mimeType: "application/json", buffer: Buffer.from('{"format":"weft-conversations","version":1,"conversations":[{"nodes":{"a":{"id":"a","parent":"b","role":"user","content":"x"}}}]}') });
  await page.getByText("bad.json was not imported").waitFor();
  check((await page.locator(".notice.bad").innerText()).includes("which is not there"), "the reason");
  await page.goto(url + "/#/chat/nowhere");
  await page.getByText("That conversation is not in this browser.").waitFor();
});

await walk("storage", {}, async (page, shot) => {
  await ask(page, "before it is full");
  await page.evaluate(() => { // what the browser does when the disk is full; its own quota cannot be set from outside
    const put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = function (value) {
      if (window.full) throw new DOMException("the quota has been exceeded", "QuotaExceededError");
      return put.call(this, value);
    };
    window.full = true;
  });
  await ask(page, "something long");
  await page.getByText("storage for this page is full").waitFor();
  await page.getByText("not stored").waitFor();
  equal((await said(page)).length > 11_000, true, "the whole answer on the screen");
  await shot("full");
  await page.keyboard.press("Control+k"); // and back: nothing is lost while the page is open
  await page.locator("#welcome").waitFor();
  await page.locator("#history a").first().click();
  await turns(page, "user").nth(1).waitFor();
  equal((await said(page)).length > 11_000, true, "the whole answer after coming back");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export it" }).click()]);
  check(readFileSync(await file.path(), "utf8").includes("something long"), "the export of what is not stored");
  await page.evaluate(() => { window.full = false; });
  await ask(page, "and again");
  await page.waitForFunction(() => !document.querySelector("#history small.bad"));
  await page.reload();
  await turns(page, "user").nth(2).waitFor();
});

await walk("base", {}, async (page) => {
  await page.getByRole("combobox", { name: "Model" }).selectOption("base");
  await page.getByPlaceholder("Text for the model to continue").waitFor();
  await ask(page, "Once upon a time");
  equal(await said(page), "and so it went on.", "the continuation");
});

await walk("keyboard", {}, async (page, shot) => {
  await page.keyboard.press("Control+/");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await shot("help");
  await page.keyboard.press("Escape");
  const stops = [];
  await page.evaluate(() => document.activeElement.blur());
  for (let i = 0; i < 18; i++) {
    await page.keyboard.press("Tab");
    stops.push(await page.evaluate(() => {
      const n = document.activeElement, s = getComputedStyle(n);
      if (n === document.body) return "";
      return (n.getAttribute("aria-label") || n.textContent.trim() || n.id) + (s.outlineStyle === "none" && n.id !== "input" ? " WITHOUT A VISIBLE FOCUS" : "");
    }));
  }
  for (const name of ["New chat", "Models", "Training", "Search the conversations", "Settings", "Who sells bread?", "Message"]) check(stops.includes(name), `Tab to reach ${name}, got ${stops.join(", ")}`);
  check(!stops.join().includes("WITHOUT"), "a visible focus everywhere, got " + stops.join(", "));
});

for (const [name, options] of [["desktop-dark", dark], ["phone", phone], ["phone-dark", { ...phone, ...dark }]]) {
  await walk(name, { ...options, reducedMotion: "reduce" }, async (page, shot) => {
    await page.getByText("Ask about a small town.").waitFor();
    await fits(page);
    await shot("1-welcome");
    await ask(page, "show markdown");
    await fits(page);
    await shot("2-prose");
    await page.getByRole("button", { name: "Token probabilities" }).click();
    await shot("3-tokens");
    await fits(page);
    await page.getByRole("button", { name: "Settings", exact: true }).click();
    await shot("4-settings");
    await fits(page);
    await page.getByRole("button", { name: "Close the settings" }).click();
    if (options.isMobile) {
      await page.getByRole("button", { name: "Pages and conversations" }).click();
      await shot("5-drawer");
    }
    await page.getByRole("link", { name: "Models" }).click();
    await page.getByRole("heading", { name: "scripted", exact: true }).waitFor();
    await fits(page);
    await shot("6-models");
    const dim = await page.evaluate(() => {
      // the contrast of every colour of words with the grounds they stand on
      const probe = document.body.appendChild(document.createElement("i")), style = getComputedStyle(probe);
      const light = (name) => {
        probe.style.color = `var(--${name})`;
        return style.color.match(/[\d.]+/g).slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      };
      const bad = [];
      for (const ink of ["ink", "soft", "accent", "bad"]) for (const ground of ["paper", "card", "side", "sunken"]) {
        const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) bad.push(`${ink} on ${ground}: ${ratio.toFixed(2)}`);
      }
      return bad;
    });
    equal(dim.join(", "), "", "words of too little contrast");
  });
}

await finish();
