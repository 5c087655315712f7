#!/usr/bin/env bash
# Nothing -> tokenizer -> base model -> SFT -> numbers -> chat, in a few minutes
# on two cores. This is the table of contents of weft: each line is one stage.
#
#   runs/speedrun.sh [OUT]      (default out/speedrun; resumes where it stopped)
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-out/speedrun}
mkdir -p bin "$out"
go build -o bin/weft ./cmd/weft
weft=bin/weft

# 1. A corpus, written by code: a small invented world, and chats about it.
$weft world corpus --seed 1 --bytes 3000000 >"$out/world.txt"
$weft world chats --seed 1 --n 4000 >"$out/chats.jsonl"

# 2. Tokenizer: byte-level BPE with the markers of the chat template.
$weft tok train "$out/world.txt" --vocab 2048 --pattern gpt2-digits --out "$out/tokenizer.json"

# 3. Base model: held-out bits per byte before and after, the curve beside it.
$weft train "$out/world.txt" --tokenizer "$out/tokenizer.json" --depth 4 --dim 128 --seq 512 --context 1024 --batch-tokens 2048 --lr 0.003 --steps 450 --out "$out/base"

# 4. Chat model: SFT on the assistant's tokens only.
$weft tune sft --base "$out/base" --data "$out/chats.jsonl" --lr 0.002 --steps 250 --out "$out/chat"

# 5. Numbers: arithmetic, training and serving speed, each with its share of the roofline.
$weft bench "$out/chat"

# 6. Talk to it (serve it with: weft serve "$out/chat").
printf 'Who are you?\n' | $weft chat "$out/chat" --temperature 0 --max-tokens 60
