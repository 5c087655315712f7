"""Writes golden.json: what Hugging Face transformers renders from our Jinja texts.

The environment is set up as transformers.utils.chat_template_utils does it
(ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls,
raise_exception, tojson without HTML escapes). Run in this folder:

    pip install jinja2==3.1.6 && python3 golden.py
"""

import itertools
import json
import platform

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

BOS = {"weft": "<|bos|>", "chatml": None}
WITH_TOOLS = {"weft"}


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = lambda x, **kw: json.dumps(x, ensure_ascii=False, **kw)
    env.globals["raise_exception"] = raise_exception
    return env


def m(role, content, *calls):
    message = {"role": role, "content": content}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(calls)
        ]
    return message


def tool(name, description=None, properties=None, required=None):
    function = {"name": name}
    if description is not None:
        function["description"] = description
    if properties is not None:
        function["parameters"] = {"type": "object", "properties": properties}
        if required is not None:
            function["parameters"]["required"] = required
    return {"type": "function", "function": function}


TOOLS = [
    tool(
        "price",
        "Looks up what an item\ncosts.",
        {"item": {"type": "string", "description": "not shown"}, "shop": {"type": "string"}},
        ["item"],
    ),
    tool(
        "odd",
        None,
        {
            "unit": {"type": "string", "enum": ["km", "mi \"\u00e9\""]},
            "n": {"enum": [1, 2.5, None, True]},
            "list": {"type": "array", "items": {"type": "number"}, "title": "a <b>\u2028\u0001\t"},
            "both": {"type": ["string", "null"]},
            "flag": {"type": "boolean", "enum": []},
            "any": {},
        },
        ["n", "unit"],
    ),
    tool("now"),
    tool("today", "", {}),
]


# Rendered with TOOLS, too, for templates that take them.
CONVERSATIONS = {
    "one question": [m("user", "Hi")],
    "two turns": [m("user", "Hi"), m("assistant", "Hello!"), m("user", "How are you?")],
    "system and answer": [m("system", "Be brief."), m("user", "2+2?"), m("assistant", "4")],
    "tool": [m("user", "Weather?"), m("tool", '{"sky": "blue", "t": 21}'), m("assistant", "Blue, 21 degrees.")],
    "white space": [m("user", "  two spaces \n"), m("assistant", "\n\nlines\n\n"), m("user", "\t")],
    "empty words": [m("user", ""), m("assistant", "")],
    "markers in words": [
        m("user", "<|im_end|>\n<|im_start|>assistant\n<|end|><|bos|><|assistant|>"),
        m("assistant", "{{ bos_token }} {% raw %} <|endoftext|>"),
    ],
    "unicode": [m("user", "\u65e5\u672c\u8a9e \U0001f980 e\u0301"), m("assistant", "a\u0000b\r\n<b>&amp;'\"</b>")],
    "assistant first": [m("assistant", "Welcome."), m("assistant", "Again.")],
    "system later": [m("user", "a"), m("system", "b"), m("user", "c")],
    "a call": [
        m("user", "Price of bread?"),
        m("assistant", "", ("price", {"item": "bread", "shop": "Fenwick's \u00e9 <b>\n\"x\" \\"})),
        m("tool", "3 coins"),
        m("assistant", "It costs 3 coins."),
    ],
    "calls and words": [
        m("system", "Use tools."),
        m("user", "?"),
        m("assistant", "I look.", ("now", {}), ("odd", {"n": 2.5, "list": [1, [], {"a": None}], "any": {"b": [True, False]}})),
        m("tool", ""),
        m("tool", "[]"),
        m("assistant", None, ("today", {})),
    ],
    "calls of the user": [m("user", "", ("now", {}))],
    "unknown role": [m("robot", "beep")],
    "no messages": [],
}


def main():
    env = environment()
    cases = []
    for template, bos in BOS.items():
        with open(f"../{template}.jinja", encoding="utf-8") as f:
            jinja = f.read().removesuffix("\n")
        compiled = env.from_string(jinja)
        for (name, messages), prompt, tools in itertools.product(CONVERSATIONS.items(), (False, True), (None, TOOLS)):
            if template not in WITH_TOOLS and (tools or "call" in name):
                continue
            case = {"template": template, "name": name, "messages": messages, "prompt": prompt, "tools": bool(tools)}
            try:
                case["text"] = compiled.render(
                    messages=messages, tools=tools, add_generation_prompt=prompt, bos_token=bos or "", eos_token=""
                )
            except jinja2.exceptions.TemplateError as e:
                case["error"] = str(e)
            cases.append(case)
    # The texts published elsewhere that we take for our chatml.
    known = json.load(open("known.json", encoding="utf-8"))
    for jinja in known:
        compiled = env.from_string(jinja)
        for name, messages in CONVERSATIONS.items():
            if "call" in name:
                continue
            for prompt in (False, True):
                text = compiled.render(messages=messages, add_generation_prompt=prompt, bos_token="", eos_token="")
                ours = next(
                    c for c in cases if c["template"] == "chatml" and c["name"] == name and c["prompt"] == prompt
                )
                assert "error" in ours or ours["text"] == text, (jinja, name)
    versions = {"python": platform.python_version(), "jinja2": jinja2.__version__}
    texts = {t: open(f"../{t}.jinja", encoding="utf-8").read().removesuffix("\n") for t in BOS}
    out = {"versions": versions, "jinja": texts, "known": known, "tools": TOOLS, "cases": cases}
    with open("golden.json", "w", encoding="utf-8") as f:
        json.dump(out, f, indent=1, ensure_ascii=True)
        f.write("\n")


main()
