// What the page's modules promise by themselves, tried in the browser that
// runs them.

import { check, equal, finish, walk } from "./kit.mjs";

await walk("calculator", {}, async (page) => {
  const got = await page.evaluate(async (list) => {
    const { calculate } = await import("/static/calc.js");
    return list.map((e) => { try { return calculate(e); } catch (err) { return err.message; } });
  }, ["1 + 2 * 3", "-2 ^ 2", "2 ^ 3 ^ 2", "(1 + 2) * 3 / 4", "12 × 3.5", "10 / 3", "0.1 + 0.2", "1,200 + 1", "1 / 0", "2 +", "constructor(1)", "(".repeat(10_000), "1 1"]);
  equal(JSON.stringify(got), JSON.stringify([7, -4, 512, 2.25, 42, 3.3333, 0.3, 1201, "the result is not a number", "the expression ends too early",
    'unexpected "constructor"', "too deeply nested", 'unexpected "1"']), "the results");
});

await walk("files", {}, async (page) => {
  const got = await page.evaluate(async () => {
    const { add, newConversation, path } = await import("/static/tree.js"), { read, toJSON, toMarkdown } = await import("/static/transfer.js");
    const conv = newConversation("m", "Be kind.\n## You\nare");
    const u = add(conv, "", "user", "## Model\n\\## You\nhello"), call = { id: "c1", name: "price", arguments: '{"item": "bread"}' };
    add(conv, u.id, "assistant", "another version", { tokens: [], calls: [], finish: "stop" });
    const a = add(conv, u.id, "assistant", "let me see", { reasoning: "Hm.\n\n## Model\nYes.", tokens: [["x", 1, -0.5, [["y", -1]]]], calls: [call], finish: "tool_calls", model: "m" });
    add(conv, add(conv, a.id, "tool", "4 coins", { callId: "c1", name: "price" }).id, "assistant", "# four\n\n```\n## Tool\n```", { tokens: [], calls: [], finish: "stop" });
    const brief = (c) => JSON.stringify([c.title, c.system, path(c).map((n) => [n.role, n.reasoning || "", n.content, n.callId, n.name, n.calls?.map((k) => [k.id, k.name, k.arguments])])]);
    const [json] = read(toJSON([conv])), [md] = read(toMarkdown(conv));
    const wrong = ['{"format":"weft-conversations"', '{"format":"other"}', "{}", "[]", "just words", '{"format":"weft-conversations","version":2}',
      '{"format":"weft-conversations","version":1,"conversations":[{"nodes":{"a":{"id":"a","parent":"a","role":"user","content":"x"}}}]}',
      '{"format":"weft-conversations","version":1,"conversations":[{"nodes":{"a":{"id":"a","parent":"","role":"king","content":"x"}}}]}',
      '{"messages":[{"role":"user","content":{"a":1}}]}'];
    return {
      want: brief(conv), json: brief(json), md: brief(md), versions: Object.keys(json.nodes).length, tokens: JSON.stringify(path(json)[1].tokens), sameIDs: Object.keys(json.nodes).some((id) => conv.nodes[id]),
      openai: path(read('{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a","reasoning_content":"r"}]}')[0]).map((n) => n.content + (n.reasoning ?? "")).join(),
      taken: wrong.filter((text) => { try { read(text); return true; } catch { return false; } }),
    };
  });
  equal(got.json, got.want, "the conversation by way of JSON");
  equal(got.md, got.want, "the conversation by way of Markdown");
  equal([got.versions, got.tokens, got.sameIDs].join(), '5,[["x",1,-0.5,[["y",-1]]]],false', "versions, tokens and new ids by way of JSON");
  equal(got.openai, "u,ar", "messages of an OpenAI request");
  equal(JSON.stringify(got.taken), "[]", "broken files that were taken");
});

await walk("markdown", {}, async (page) => {
  const got = await page.evaluate(async () => {
    const { View, render } = await import("/static/markdown.js");
    const allowed = new Set("P H3 H4 H5 H6 STRONG EM DEL CODE PRE FIGURE FIGCAPTION SPAN BUTTON UL OL LI INPUT BLOCKQUOTE HR BR DIV TABLE THEAD TBODY TR TH TD A SMALL svg path".split(" "));
    const pieces = ["*", "**", "_", "~~", "`", "```\n", "[", "](", ")", "![", "\n", "\n\n", "> ", "- ", "1. ", "  ", "# ", "|", "\n|-|-|\n", "\\", "<b onclick=x>", "<script>", "word", " ", "javascript:x", "https://a.b/", "mailto:c@d", "é", "😀", "\t"];
    let seed = 1;
    const random = (n) => (seed = (seed * 48271) % 2147483647) % n, faults = [];
    for (let i = 0; i < 1500; i++) {
      const root = document.createElement("div"), view = new View(root);
      let text = "";
      for (let k = random(30); k >= 0; k--) view.update((text += pieces[random(pieces.length)]));
      const whole = render(text);
      if (root.innerHTML !== whole.innerHTML) faults.push("grown otherwise than drawn at once: " + JSON.stringify(text));
      for (const n of whole.querySelectorAll("*")) {
        if (!allowed.has(n.tagName)) faults.push(`<${n.tagName}> from ${JSON.stringify(text)}`);
        for (const a of n.attributes) if (a.name.startsWith("on") || a.name === "src" || a.name === "style" || (a.name === "href" && !/^(https?|mailto):/.test(a.value))) faults.push(`${a.name}=${a.value} from ${JSON.stringify(text)}`);
      }
    }
    // what would take for ever, or overflow the stack, if it were read naively
    const heavy = ["*a ".repeat(6_000), "[".repeat(19_000), "`".repeat(9_000) + " " + "`a".repeat(5_000), "> ".repeat(9_000), "- ".repeat(9_000), "*_".repeat(9_000), "[a](".repeat(4_500), "|a".repeat(9_000) + "\n" + "|-".repeat(9_000), "~~".repeat(9_000), "![".repeat(9_000)];
    const words = heavy.map((t) => render(t).textContent.length > 0);
    return { faults: faults.slice(0, 5), words };
  });
  equal(JSON.stringify(got.faults), "[]", "faults");
  check(got.words.filter((w) => !w).length <= 2, "the heavy texts to be drawn");
});

await finish();
