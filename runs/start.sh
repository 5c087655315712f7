#!/usr/bin/env bash
# How long a new process takes to the first token of a model whose file is in the
# system's cache, and its peak memory by the size of the file.
#
#   runs/start.sh [MODEL.gguf]     default: random weights of 1.1B in Q4_K_M, written to out/ once
#   ROUNDS=5
set -euo pipefail
[ $# -eq 0 ] || model=$(realpath "$1")
cd "$(dirname "$0")/.."
mkdir -p bin out
CGO_ENABLED=0 go build -o bin/weft ./cmd/weft
if [ -z "${model:-}" ]; then
  model=out/random-1.1b-q4_k_m.gguf
  [ -s $model ] || bin/weft export --random 1.1b --type q4_k_m --gguf $model
fi
bin/weft bench "$model" --start -r "${ROUNDS:-5}"
