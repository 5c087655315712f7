"""Walks through weft's OpenAI API with the official client for Python.

Reads OPENAI_BASE_URL, OPENAI_API_KEY and WEFT_MODEL; prints one line per
check and exits with 1 at the first that fails.
"""

import asyncio
import json
import os
import re
import sys
import traceback

import openai

client = openai.OpenAI(max_retries=0)
model = os.environ["WEFT_MODEL"]
messages = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Tell me about the sea."}]},
]
greedy = dict(model=model, messages=messages, temperature=0, max_completion_tokens=24)


def list_and_show_models():
    assert [m.id for m in client.models.list()] == [model]
    assert client.models.retrieve(model).owned_by == "weft"


def stream_a_chat_and_read_usage():
    text, finish, usage = "", None, None
    for chunk in client.chat.completions.create(**greedy, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert finish in ("stop", "length"), finish
    assert usage.prompt_tokens > 5 and usage.completion_tokens >= 1, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    whole = client.chat.completions.create(**greedy)
    assert whole.choices[0].message.content == text, "streamed and whole text differ"
    assert whole.choices[0].finish_reason == finish
    counts = {"prompt_tokens_details": True}  # the second time the prompt is in the cache
    assert whole.usage.model_dump(exclude=counts) == usage.model_dump(exclude=counts)
    assert whole.usage.prompt_tokens_details.cached_tokens > 0, "nothing of the same prompt was cached"
    assert whole._request_id.startswith("req_")


def extensions_pass_through():
    out = client.chat.completions.create(
        **greedy, n=2, seed=7, extra_body={"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.1}
    )
    assert [c.index for c in out.choices] == [0, 1]


def completion_with_echo_and_logprobs():
    prompt = "The sea is"
    scored = client.completions.create(model=model, prompt=prompt, echo=True, logprobs=1, max_tokens=0)
    choice = scored.choices[0]
    assert choice.text == prompt
    assert "".join(choice.logprobs.tokens) == prompt
    assert len(choice.logprobs.token_logprobs) == len(choice.logprobs.tokens)
    assert scored.usage.completion_tokens == 0


def completion_from_token_ids_streamed():
    ask = dict(model=model, prompt=[[40, 41, 42], [43]], max_tokens=8, temperature=0)
    texts = ["", ""]
    for chunk in client.completions.create(**ask, stream=True):
        for c in chunk.choices:
            texts[c.index] += c.text
    assert [c.text for c in client.completions.create(**ask).choices] == texts


def stop_a_stream_and_go_on():
    stream = client.chat.completions.create(**greedy, stream=True)
    next(iter(stream))
    stream.close()
    assert client.completions.create(model=model, prompt="a", max_tokens=1).id


def many_at_once_say_the_same():
    async def run():
        async with openai.AsyncOpenAI(max_retries=0) as parallel:
            return await asyncio.gather(*(parallel.chat.completions.create(**greedy) for _ in range(8)))

    assert len({a.choices[0].message.content for a in asyncio.run(run())}) == 1


def call_a_tool_and_use_its_result():
    # What the model of the test knows by heart.
    schema = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
    tool = {"name": "price", "description": "Looks up what an item costs.", "parameters": schema}
    talk = [{"role": "user", "content": "What does bread cost?"}]
    ask = dict(model=model, messages=talk, tools=[{"type": "function", "function": tool}], temperature=0)
    choice = client.chat.completions.create(**ask).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None), choice
    (call,) = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("price", {"item": "bread"}), call
    with client.chat.completions.stream(**ask) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion().choices[0]
    assert streamed.finish_reason == "tool_calls"
    assert streamed.message.tool_calls[0].id == call.id
    assert streamed.message.tool_calls[0].function.arguments == call.function.arguments
    talk += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "3 coins"}]
    assert client.chat.completions.create(**ask).choices[0].message.content == "Bread costs 3 coins."


def a_wrong_key_is_401():
    stranger = openai.OpenAI(api_key="wrong", max_retries=0)
    fails(stranger.models.list, openai.AuthenticationError, 401, "invalid_api_key")


def an_over_long_prompt_is_400_with_both_counts():
    err = fails(
        lambda: client.completions.create(model=model, prompt="sea " * 5000, max_tokens=5),
        openai.BadRequestError, 400, "context_length_exceeded",
    )
    assert re.search(r"maximum context length is \d+ tokens.*\(\d+ in the prompt, 5 in the completion\)", err.message), err.message


def other_errors_map_to_the_clients_classes():
    create = client.chat.completions.create
    fails(lambda: create(**{**greedy, "model": "none"}), openai.NotFoundError, 404, "model_not_found")
    err = fails(lambda: create(**greedy, response_format={"type": "json_object"}), openai.BadRequestError, 400, "unsupported_parameter")
    assert err.param == "response_format"
    fails(lambda: create(**{**greedy, "temperature": 3}), openai.BadRequestError, 400, "invalid_value")


def fails(call, kind, status, code):
    try:
        call()
    except kind as err:
        assert (err.status_code, err.code) == (status, code), (err.status_code, err.code)
        return err
    raise AssertionError(f"got an answer, want an error with code {code}")


for check in (
    list_and_show_models,
    stream_a_chat_and_read_usage,
    extensions_pass_through,
    completion_with_echo_and_logprobs,
    completion_from_token_ids_streamed,
    stop_a_stream_and_go_on,
    many_at_once_say_the_same,
    call_a_tool_and_use_its_result,
    a_wrong_key_is_401,
    an_over_long_prompt_is_400_with_both_counts,
    other_errors_map_to_the_clients_classes,
):
    name = check.__name__.replace("_", " ")
    try:
        check()
        print("ok   " + name)
    except Exception:
        print("FAIL " + name + "\n" + traceback.format_exc())
        sys.exit(1)
