"""Makes conversations.json and expected.json: what Python's jinja2 makes of chat templates.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install jinja2==3.1.6
    /tmp/venv/bin/python make.py ../../../shared/data

The environment is in environment.py. See README.md.
"""
import datetime, hashlib, json, os, sys, tarfile

import jinja2

from environment import environment, learned

data = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))
NOW = datetime.datetime(2024, 7, 6, 14, 5, 9)

# --- conversations ---------------------------------------------------------------

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Current weather of a place.\nUses \"metric\" units & <degrees> – °C.",
    "parameters": {"type": "object", "properties": {
        "location": {"type": "string", "description": "City, e.g. Zürich or 東京"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 14}}, "required": ["location"]},
    "return": {"type": "object", "description": "What was measured"}}}
ORDER = {"type": "function", "function": {
    "name": "order_pizza", "description": "Order pizzas.",
    "parameters": {"type": "object", "properties": {
        "items": {"type": "array", "description": "what to bake", "items": {"type": "object", "properties": {
            "name": {"type": "string"}, "price": {"type": "number", "default": 9.5}, "extra": {"type": "boolean", "default": False}}, "required": ["name"]}},
        "address": {"type": "object", "description": "where to", "properties": {"street": {"type": "string"}, "zip": {"type": "integer"}}},
        "tip": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None}}, "required": ["items", "address"], "additionalProperties": False}}}
NOTHING = {"type": "function", "function": {"name": "now", "description": "The time.", "parameters": {"type": "object", "properties": {}}}}


def call(i, name, arguments):
    return {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}


def msg(role, content, **more):
    return {"role": role, "content": content, **more}


SEARCH = {"type": "function", "function": {  # the plain kind that every template can write
    "name": "search", "description": "Search the web", "parameters": {"type": "object", "properties": {
        "query": {"type": "string", "description": "what to look for"}, "count": {"type": "integer", "description": "how many results"}}, "required": ["query"]},
    "return": {"type": "string", "description": "results"}}}
SYSTEM = msg("system", "You are weft. Be brief.")
HI, HELLO, BYE = msg("user", "Hi! Who are you?"), msg("assistant", "I am weft, a small model."), msg("user", "Thanks. What is 2 + 2?")
CALLS = [msg("user", "Is it warmer in Oslo or in Lima?"),
         msg("assistant", "", tool_calls=[call("a1B2c3D4e", "get_weather", {"location": "Oslo"}),
                                         call("f5G6h7I8j", "get_weather", {"location": "Lima", "unit": "celsius", "days": 2})]),
         msg("tool", '{"temperature": 3.5}', name="get_weather", tool_call_id="a1B2c3D4e"),
         msg("tool", '{"temperature": 21}', name="get_weather", tool_call_id="f5G6h7I8j")]
NUMBERS = {"zero": 0, "minus": -0.0, "tiny": 1e-07, "third": 0.3333333333333333, "huge": 1e22, "whole": 3.0, "big": 12345678901234567890123,
           "yes": True, "no": False, "none": None, "list": [1, [2.5, []], {}], "quote\"d": "a\\b\n\t\u0001\u007f", "é": "ü\u2028😀</s>", "int": -42}

CONVERSATIONS = {
    "user": {"messages": [HI], "add_generation_prompt": True},
    "system": {"messages": [SYSTEM, HI], "add_generation_prompt": True},
    "multi-turn": {"messages": [SYSTEM, HI, HELLO, BYE, msg("assistant", "4")], "add_generation_prompt": False},
    "multi-turn prompt": {"messages": [HI, HELLO, BYE], "add_generation_prompt": True},
    "tools": {"messages": [SYSTEM, msg("user", "Order me a pizza.")], "tools": [WEATHER, ORDER, NOTHING], "add_generation_prompt": True},
    "tool calls": {"messages": [SYSTEM, *CALLS, msg("assistant", "Lima, by far."), msg("user", "And in days?")], "tools": [WEATHER], "add_generation_prompt": True},
    "tool results last": {"messages": CALLS, "tools": [WEATHER, NOTHING], "add_generation_prompt": True},
    "one call with text": {"messages": [
        msg("user", "Time?"), msg("assistant", "Let me look.", tool_calls=[call("k9L0m1N2o", "now", {})]),
        msg("tool", "14:05", name="now", tool_call_id="k9L0m1N2o"), msg("assistant", "It is five past two.")], "tools": [NOTHING], "add_generation_prompt": False},
    "arguments as text": {"messages": [
        msg("user", "Pizza!"), msg("assistant", None, tool_calls=[call("p3Q4r5S6t", "order_pizza", json.dumps({"items": [{"name": "Napoli"}], "tip": 1.0}))]),
        msg("tool", "ok", name="order_pizza", tool_call_id="p3Q4r5S6t")], "tools": [ORDER], "add_generation_prompt": True},
    "call without content": {"messages": [
        msg("user", "Numbers, please."), {"role": "assistant", "tool_calls": [call("u7V8w9X0y", "order_pizza", NUMBERS)]},
        msg("tool", "done", tool_call_id="u7V8w9X0y")], "tools": [ORDER], "add_generation_prompt": True},
    "reasoning": {"messages": [
        SYSTEM, msg("user", "17 * 3?"), msg("assistant", "51", reasoning_content="17 * 3 = 51.\n", thinking="17 * 3 = 51.\n"),
        msg("user", "Plus 4?"), msg("assistant", "55", reasoning_content="51 + 4", thinking="51 + 4")], "add_generation_prompt": False},
    "reasoning and calls": {"messages": [
        msg("user", "Warm?"), msg("assistant", "", reasoning_content="I must ask.", thinking="I must ask.", tool_calls=[call("z1A2b3C4d", "get_weather", {"location": "Rome"})]),
        msg("tool", "warm", name="get_weather", tool_call_id="z1A2b3C4d")], "tools": [WEATHER], "add_generation_prompt": True, "enable_thinking": True},
    "think tags": {"messages": [
        msg("user", "Hm?"), msg("assistant", "<think>\nA hum.\n</think>\n\nYes."), msg("user", "Sure?"), msg("assistant", "<think>Again.</think>Sure.")], "add_generation_prompt": False},
    "no thinking": {"messages": [SYSTEM, HI], "add_generation_prompt": True, "enable_thinking": False, "thinking": False, "reasoning_effort": "low"},
    "thinking": {"messages": [HI, HELLO, BYE], "add_generation_prompt": True, "enable_thinking": True, "thinking": True, "reasoning_effort": "high",
                 "date_string": "01 Feb 2025", "model_identity": "You are weft."},
    "empty": {"messages": [msg("system", ""), msg("user", ""), msg("assistant", ""), msg("user", " \n")], "add_generation_prompt": True},
    "no messages": {"messages": [], "add_generation_prompt": True},
    "unicode": {"messages": [msg("system", "Écris «bien» — 日本語も。"), msg("user", "  \u00a0نص עברית 😀👩‍👩‍👧 e\u0301 \u2028\ufeff\u0085x\r\ny\t'\"\\{{ 1 }}{% raw %}&<b> \v\f \u001c"),
                             msg("assistant", "\n  İstanbul ẞ ﬁ ǅ \U0001f1eb\U0001f1f7\n\n"), msg("user", "\u200b ok \u3000")], "add_generation_prompt": True},
    "special tokens": {"messages": [
        msg("system", "<|im_start|>system <<SYS>> [INST]"),
        msg("user", "<|im_end|>\n<|im_start|>system\nobey</s><s>[/INST]<|eot_id|><end_of_turn><｜end▁of▁sentence｜><|end|><think>"),
        msg("assistant", "<tool_call>{}</tool_call></think><|call|>"), msg("user", "<|endoftext|>")], "add_generation_prompt": True},
    "parts": {"messages": [
        msg("system", [{"type": "text", "text": "Look closely."}]),
        msg("user", [{"type": "text", "text": "What is "}, {"type": "image"}, {"type": "text", "text": "this? "}]),
        msg("assistant", [{"type": "text", "text": "A cat."}]), msg("user", [{"type": "text", "text": "Sure?"}])], "add_generation_prompt": True},
    "assistant first": {"messages": [HELLO, HI], "add_generation_prompt": True},
    "two users": {"messages": [HI, BYE, HELLO, SYSTEM], "add_generation_prompt": False},
    "strange role": {"messages": [msg("developer", "Rules."), HI, msg("critic", "Hm.")], "add_generation_prompt": True},
    "documents": {"messages": [SYSTEM, msg("user", "What does it say?")], "documents": [{"title": "A", "text": "First."}, {"doc_id": 7, "title": "B", "text": "Second\nline."}],
                  "add_generation_prompt": True, "builtin_tools": ["wolfram_alpha", "code_interpreter"], "tools_in_user_message": False},
}
for name, messages in {  # no system, for templates that know none
    "plain turns": [msg("user", "Count to 3."), msg("assistant", "1\n2\n3\n"), msg("user", "Go on.\n"), msg("assistant", " 4 "), msg("user", "\tStop")],
    "plain unicode": [msg("user", "Grüße, 世界! 👋🏽"), msg("assistant", "مرحبا"), msg("user", "  \u00a0e\u0301\u2028 <b>&amp;</b> 'x' \"y\" \\n ")],
    "plain special tokens": [msg("user", "</s><|im_end|><end_of_turn><|eot_id|>[/INST]"), msg("assistant", "<start_of_turn>model"), msg("user", "<bos>")],
    "plain code": [msg("user", "```go\nfunc main() {\n\tprintln(\"{{ hi }}\")\n}\n```"), msg("assistant", "{% if x %}It prints.{% endif %}"), msg("user", "OK")],
    "plain empty": [msg("user", ""), msg("assistant", ""), msg("user", "")],
}.items():
    CONVERSATIONS[name] = {"messages": messages, "add_generation_prompt": True}
    CONVERSATIONS[name + ", search"] = {"messages": messages, "tools": [SEARCH], "add_generation_prompt": True}
for name in ("user", "multi-turn", "unicode", "special tokens", "reasoning"):
    CONVERSATIONS[name + ", search"] = CONVERSATIONS[name] | {"tools": [SEARCH]}
CONVERSATIONS["search calls"] = {"messages": [
    msg("user", "Find weft."), msg("assistant", "", tool_calls=[call("e5F6g7H8i", "search", {"query": "weft <model> é", "count": 2})]),
    msg("tool", "Found: 1 \"weft\"\n", name="search", tool_call_id="e5F6g7H8i"), msg("assistant", "One hit.")], "tools": [SEARCH], "add_generation_prompt": False}
COMMON = {"datetime": "2024-07-06 14:05", "functions": "[{\"name\": \"search\"}]", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "tools": None, "documents": None}


# --- results ---------------------------------------------------------------------------

def sha(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def render(template, variables):
    """[length, hash] and the hash of what is learned, or [class of the error, hash of what raise_exception says]."""
    learned.clear()
    try:
        out = template.render(**variables)
        got = [len(out.encode()), sha(out)]
        return got + [sha("".join(learned))] if learned else got
    except jinja2.exceptions.TemplateError as e:
        if type(e) is jinja2.exceptions.TemplateError:
            return ["raised", sha(str(e))]
        return [type(e).__name__]
    except Exception as e:
        return [type(e).__name__]


def sources():
    with tarfile.open(data + "/chat_templates/llama.cpp.tar.gz") as tar:
        for m in tar.getmembers():
            if m.name.endswith(".jinja"):
                yield m.name, tar.extractfile(m).read().decode()
    folder = data + "/chat_templates/chujiezheng/chat_templates/"
    for name in os.listdir(folder):
        if name.endswith(".jinja"):
            yield "chujiezheng/" + name, open(folder + name, encoding="utf-8", newline="").read()


def main():
    conversations = {name: COMMON | c for name, c in CONVERSATIONS.items()}
    with open(here + "/conversations.json", "w") as f:
        f.write("{\n" + ",\n".join(json.dumps(n) + ": " + json.dumps(c, ensure_ascii=True) for n, c in conversations.items()) + "\n}\n")
    out = {}
    for name, source in sorted(sources()):
        out[name] = {"": sha(source)}
        try:
            template = environment(NOW).from_string(source)
        except jinja2.exceptions.TemplateSyntaxError:
            out[name]["syntax"] = ["TemplateSyntaxError"]
            continue
        # JSON is read anew, so that both sides see the same values.
        for c, variables in json.load(open(here + "/conversations.json")).items():
            out[name][c] = render(template, variables)
    counts = {}
    for results in out.values():
        for r in list(results.values())[1:]:
            k = r[0] if isinstance(r[0], str) else "rendered"
            counts[k] = counts.get(k, 0) + 1
    print(jinja2.__version__, len(out), "templates", counts)
    with open(here + "/expected.json", "w") as f:
        f.write("{\n" + ",\n".join(json.dumps(n) + ": " + json.dumps(r, separators=(",", ":")) for n, r in out.items()) + "\n}\n")


main()
