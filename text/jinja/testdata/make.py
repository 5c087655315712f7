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
import sys
from datetime import datetime
from importlib.metadata import version

import jinja2

NOW = datetime(2024, 7, 26, 15, 4, 5, 678901)
HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parents[2] / "testdata" / "templates"))
from environment import environment  # the one of all our fixtures


def run(source, vars):
    """What the template gives, or the class of what it raises."""
    try:
        return {"want": environment(NOW).from_string(source).render(**vars)}
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
