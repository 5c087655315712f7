"""The vocabulary of nanoGPT's character setting as a tokenizer.json: the
characters of one text, in order, and no merges. torch_gpt.py numbers them alike.

usage: characters.py TEXT > tokenizer.json
"""

import json
import sys

text = open(sys.argv[1], encoding="utf-8").read()
model = {"type": "BPE", "vocab": {c: i for i, c in enumerate(sorted(set(text)))}, "merges": []}
lines = {"type": "Split", "pattern": {"Regex": "\\n+|[^\\n]+"}, "behavior": "Isolated", "invert": False}
json.dump({"version": "1.0", "pre_tokenizer": lines, "decoder": {"type": "Fuse"}, "model": model}, sys.stdout)
