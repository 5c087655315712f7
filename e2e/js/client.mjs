// Walks through weft's OpenAI API with the official client for JavaScript.
// Reads OPENAI_BASE_URL, OPENAI_API_KEY and WEFT_MODEL; prints one line per
// check and exits with 1 at the first that fails.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const model = process.env.WEFT_MODEL;
const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "Tell me about the sea." }];
const greedy = { model, messages, temperature: 0, max_completion_tokens: 24 };

// What the model of the test knows by heart.
const bread = {
  model,
  temperature: 0,
  messages: [{ role: "user", content: "What does bread cost?" }],
  tools: [{
    type: "function",
    function: {
      name: "price",
      description: "Looks up what an item costs.",
      parameters: { type: "object", properties: { item: { type: "string" } }, required: ["item"] },
    },
  }],
};

// The same prompt a second time has the same counts, and is in the cache.
function sameUsage(second, first) {
  const counts = ({ prompt_tokens_details, ...rest }) => rest;
  assert.deepEqual(counts(second), counts(first));
  assert.ok(second.prompt_tokens_details.cached_tokens > 0, "nothing of the same prompt was cached");
}

const checks = {
  async "list and show models"() {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert.deepEqual(ids, [model]);
    assert.equal((await client.models.retrieve(model)).owned_by, "weft");
  },

  async "stream a chat and read usage"() {
    const stream = await client.chat.completions.create({ ...greedy, stream: true, stream_options: { include_usage: true } });
    let text = "", finish, usage, role;
    for await (const chunk of stream) {
      const choice = chunk.choices[0];
      role ??= choice?.delta.role;
      text += choice?.delta.content ?? "";
      finish ??= choice?.finish_reason;
      usage ??= chunk.usage;
    }
    assert.equal(role, "assistant");
    assert.ok(["stop", "length"].includes(finish), finish);
    assert.ok(usage.prompt_tokens > 5 && usage.completion_tokens >= 1);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    const whole = await client.chat.completions.create(greedy);
    assert.equal(whole.choices[0].message.content, text, "streamed and whole text differ");
    assert.equal(whole.choices[0].finish_reason, finish);
    sameUsage(whole.usage, usage);
    assert.match(whole._request_id, /^req_/);
  },

  async "chat helper accumulates n choices with logprobs"() {
    const done = await client.chat.completions
      .stream({ ...greedy, n: 2, temperature: 1, seed: 5, logprobs: true, top_logprobs: 2 })
      .finalChatCompletion();
    assert.equal(done.choices.length, 2);
    for (const c of done.choices) {
      for (const t of c.logprobs?.content ?? []) assert.ok(t.logprob <= 0 && t.top_logprobs.length === 2);
    }
  },

  async "completion with echo and logprobs"() {
    const prompt = "The sea is";
    const scored = await client.completions.create({ model, prompt, echo: true, logprobs: 1, max_tokens: 0 });
    const { text, logprobs } = scored.choices[0];
    assert.equal(text, prompt);
    assert.equal(logprobs.tokens.join(""), prompt);
    assert.equal(logprobs.tokens.length, logprobs.token_logprobs.length);
    assert.equal(scored.usage.completion_tokens, 0);
  },

  async "completion of several prompts, streamed"() {
    const texts = ["", ""];
    let usage;
    const stream = await client.completions.create({ model, prompt: ["a", "the"], max_tokens: 8, temperature: 0, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) {
      for (const c of chunk.choices) texts[c.index] += c.text;
      usage ??= chunk.usage;
    }
    const whole = await client.completions.create({ model, prompt: ["a", "the"], max_tokens: 8, temperature: 0 });
    assert.deepEqual(whole.choices.map((c) => c.text), texts);
    sameUsage(whole.usage, usage);
  },

  async "stop a stream and go on"() {
    const stream = await client.chat.completions.create({ ...greedy, stream: true });
    for await (const _ of stream) break;
    stream.controller.abort();
    assert.ok((await client.completions.create({ model, prompt: "a", max_tokens: 1 })).id);
  },

  async "call a tool, streamed and whole, and use its result"() {
    const { choices: [choice] } = await client.chat.completions.create(bread);
    assert.equal(choice.finish_reason, "tool_calls");
    assert.equal(choice.message.content, null);
    const [call] = choice.message.tool_calls;
    assert.equal(call.function.name, "price");
    assert.deepEqual(JSON.parse(call.function.arguments), { item: "bread" });
    const streamed = await client.chat.completions.stream(bread).finalChatCompletion();
    assert.equal(streamed.choices[0].finish_reason, "tool_calls");
    const { id, type, function: f } = streamed.choices[0].message.tool_calls[0];
    assert.deepEqual({ id, type, name: f.name, arguments: f.arguments }, { id: call.id, type: "function", ...call.function });

    // The client's own loop: it calls the function and sends back what it returns.
    const asked = [];
    const [{ function: tool }] = bread.tools;
    const loop = client.chat.completions.runTools({
      ...bread,
      tools: [{ type: "function", function: { ...tool, parse: JSON.parse, function: ({ item }) => { asked.push(item); return "3 coins"; } } }],
    });
    assert.equal(await loop.finalContent(), "Bread costs 3 coins.");
    assert.deepEqual(asked, ["bread"]);
  },

  async "a wrong key is 401"() {
    const stranger = new OpenAI({ apiKey: "wrong", maxRetries: 0 });
    await fails(stranger.models.list(), OpenAI.AuthenticationError, 401, "invalid_api_key");
  },

  async "an over-long prompt is 400 with both counts"() {
    const err = await fails(client.completions.create({ model, prompt: "sea ".repeat(5000), max_tokens: 5 }),
      OpenAI.BadRequestError, 400, "context_length_exceeded");
    assert.match(err.message, /maximum context length is \d+ tokens.*\(\d+ in the prompt, 5 in the completion\)/);
    await fails(client.chat.completions.create({ model, stream: true, messages: [{ role: "user", content: "sea ".repeat(5000) }] }),
      OpenAI.BadRequestError, 400, "context_length_exceeded");
  },

  async "other errors map to the client's classes"() {
    await fails(client.chat.completions.create({ ...greedy, model: "none" }), OpenAI.NotFoundError, 404, "model_not_found");
    const err = await fails(client.chat.completions.create({ ...greedy, ...bread, tool_choice: "required" }), OpenAI.BadRequestError, 400, "unsupported_parameter");
    assert.equal(err.param, "tool_choice");
    await fails(client.chat.completions.create({ ...greedy, temperature: 3 }), OpenAI.BadRequestError, 400, "invalid_value");
    await fails(client.embeddings.create({ model, input: "a" }), OpenAI.NotFoundError, 404, "unknown_url");
  },
};

async function fails(call, kind, status, code) {
  try {
    await call;
  } catch (err) {
    assert.ok(err instanceof kind, `got ${err.constructor.name}: ${err.message}`);
    assert.equal(err.status, status);
    assert.equal(err.code, code);
    return err;
  }
  assert.fail("got an answer, want an error with code " + code);
}

for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log("ok   " + name);
  } catch (err) {
    console.log("FAIL " + name + "\n" + err.stack);
    process.exit(1);
  }
}
