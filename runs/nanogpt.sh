#!/usr/bin/env bash
# Training throughput against PyTorch on the CPU setting that nanoGPT documents
# (4 layers, 4 heads, 128 wide, block 64, batch 12, characters), side by side, with
# the same vocabulary:
# alternating short runs, the median step of each, and the ratio per pair.
#
#   runs/nanogpt.sh TEXT PYTHON [PAIRS] [STEPS]     PYTHON has torch installed
set -euo pipefail
text=$1 python=$2 pairs=${3:-5} steps=${4:-200}
cd "$(dirname "$0")/.."
mkdir -p bin out
CGO_ENABLED=0 go build -o bin/weft ./cmd/weft
"$python" testdata/nanogpt/characters.py "$text" >out/characters.json
setting=(--tokenizer out/characters.json --template none --depth 4 --dim 128 --heads 4 --kv-heads 4 --ffn 352 --seq 64 --batch-tokens 768
  --random --seed 1337 --warmup 100 --lr 0.001 --beta2 0.99 --eval-every -1)
for _ in $(seq "$pairs"); do
  torch=$("$python" testdata/nanogpt/torch_gpt.py "$text" --steps "$steps" --threads "$(nproc)" |
    "$python" -c 'import json,sys; print(json.load(sys.stdin)["tokens_per_second"])')
  rm -rf out/nanogpt
  bin/weft train "$text" --out out/nanogpt "${setting[@]}" --steps "$steps" --json >/dev/null
  "$python" - "$torch" <<'PY'
import json, statistics, sys
steps = [json.loads(line) for line in open("out/nanogpt/train/metrics.jsonl")]
at = [s["seconds"] for s in steps if s["kind"] == "step"]
tens = [(b - a) / 10 for a, b in zip(at[10::10], at[20::10])]  # the clock has milliseconds
weft, torch = 768 / statistics.median(tens), float(sys.argv[1])
print(f"weft {weft:.0f} tokens/s, torch {torch:.0f} tokens/s, ratio {weft / torch:.2f}", flush=True)
PY
done
