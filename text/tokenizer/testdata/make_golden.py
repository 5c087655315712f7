"""Writes golden.json: ids of texts.json by the reference implementations.

Made with Python 3.11, tokenizers 0.23.3 and tiktoken 0.14.0:

    go test ./text/tokenizer -run TestFixtures -update    # trained-*.json
    python text/tokenizer/testdata/make_golden.py DATA    # golden.json

DATA is the folder of public test inputs (../shared/data beside a checkout).
"user" is text of users, where special tokens are plain text; "trusted" is text
in which they count.
"""

import json
import os
import sys

import tiktoken
import tiktoken.load
import tokenizers
from tiktoken_ext import openai_public

here = os.path.dirname(os.path.abspath(__file__))
data = os.path.join(sys.argv[1], "tokenizers")
texts = json.load(open(os.path.join(here, "texts.json")))


def hugging_face(path):
    tok = tokenizers.Tokenizer.from_file(path)
    tok.no_truncation()
    tok.no_padding()
    tok.encode_special_tokens = True
    user = [tok.encode(t, add_special_tokens=False).ids for t in texts]
    tok.encode_special_tokens = False
    trusted = [tok.encode(t, add_special_tokens=False).ids for t in texts]
    return {"user": user, "trusted": trusted}


def from_ranks(name, file):
    ranks = tiktoken.load.load_tiktoken_bpe(os.path.join(data, "tiktoken", file))
    openai_public.load_tiktoken_bpe = lambda *a, **k: ranks
    enc = tiktoken.Encoding(**openai_public.ENCODING_CONSTRUCTORS[name]())
    return {
        "user": [enc.encode_ordinary(t) for t in texts],
        "trusted": [enc.encode(t, allowed_special="all") for t in texts],
    }


golden = {
    "smollm": hugging_face(os.path.join(data, "smollm/tokenizer.json")),
    "cohere": hugging_face(os.path.join(data, "hf-json/cohere-tokenizer.json")),
}
for name in ["r50k_base", "p50k_base", "cl100k_base", "o200k_base"]:
    golden[name] = from_ranks(name, name + ".tiktoken")
for file in sorted(os.listdir(here)):
    if file.startswith("trained-"):
        golden[file] = hugging_face(os.path.join(here, file))
with open(os.path.join(here, "golden.json"), "w") as f:
    f.write("{\n")
    for i, (name, g) in enumerate(golden.items()):
        f.write(f' "{name}": {json.dumps(g, separators=(",", ":"))}{"," if i < len(golden) - 1 else ""}\n')
    f.write("}\n")
