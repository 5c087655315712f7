"""Makes cases.json: what Python's jinja2 gives for our small templates.

    python -m venv /tmp/v && /tmp/v/bin/pip install jinja2==3.1.6 markupsafe==3.0.4
    /tmp/v/bin/python make.py

The environment is the one that transformers 5 sets up for chat templates.
lines.txt holds a template in each line, over the variables of vars.json.
blocks.txt holds templates of several lines, between lines of "=====", each with
its own variables behind a line "-----", if it has any. crlf.txt is one template.
"""

import json
import pathlib
import platform
from datetime import datetime
from importlib.metadata import version

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime(2024, 7, 26, 15, 4, 5, 678901)
HERE = pathlib.Path(__file__).parent


class Generation(Extension):
    """{% generation %}: a call block whose macro is called at once."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_run")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


class Dict:
    """dict, with nothing else of the type in reach."""

    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


class Namespace(jinja2.utils.Namespace):
    """namespace, which refuses names with an underscore in front."""

    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attrs = dict(*args, **kwargs)
        for name in attrs:
            Namespace.check(name)
        jinja2.utils.Namespace.__init__(self, attrs)

    def __setitem__(self, name, value):
        Namespace.check(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)

    @staticmethod
    def check(name):
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"namespace attribute {name!r}")


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    env.globals["dict"] = Dict()
    env.globals["namespace"] = Namespace
    return env


def run(source, vars):
    """What the template gives, or the class of what it raises."""
    try:
        return {"want": environment().from_string(source).render(**vars)}
    except Exception as e:
        return {"error": type(e).__name__, "message": str(e)}


def main():
    shared = json.loads((HERE / "vars.json").read_text())
    todo = [(line, shared) for line in (HERE / "lines.txt").read_text().split("\n") if line]
    for text in (HERE / "blocks.txt").read_text().split("\n=====\n"):
        source, _, vars = text.partition("\n-----\n")
        todo.append((source, json.loads(vars) if vars.strip() else {}))
    todo.append(((HERE / "crlf.txt").read_bytes().decode(), {}))
    cases = []
    for source, vars in todo:
        case = {"template": source}
        if vars and vars is not shared:
            case["vars"] = vars
        cases.append(case | run(source, vars))
    versions = {"python": platform.python_version(), "jinja2": jinja2.__version__, "markupsafe": version("markupsafe")}
    out = {"versions": versions, "shared": shared, "cases": cases}
    (HERE / "cases.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")
    print(len(cases), "cases,", sum("error" in c for c in cases), "of them errors")


main()
