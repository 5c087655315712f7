"""Encodes a text with tiktoken and tokenizers each time a line comes, and says
how long each took. The first line is the setting; see peers_test.go."""

import base64
import json
import sys
import time

import tiktoken
import tokenizers

setting = json.loads(sys.stdin.readline())
with open(setting["ranks"], "rb") as f:
    ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in f if line.strip())}
tik = tiktoken.Encoding("peer", pat_str=setting["pattern"], mergeable_ranks=ranks, special_tokens={})
hf = tokenizers.Tokenizer.from_file(setting["json"])
text = setting["text"]

for _ in sys.stdin:
    a = time.perf_counter()
    ids = tik.encode_ordinary(text)
    b = time.perf_counter()
    [other] = hf.encode_batch_fast([text], add_special_tokens=False)
    c = time.perf_counter()
    print(json.dumps({"Tiktoken": b - a, "HF": c - b, "IDs": len(ids), "HFIDs": len(other.ids)}), flush=True)
