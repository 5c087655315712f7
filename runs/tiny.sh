#!/usr/bin/env bash
# Nothing -> the models inside the binary: a world, a tokenizer, and from both
# tiny and tiny-s, pretrained, tuned, in 8 bits, scored and with their cards.
#
#   runs/tiny.sh [OUT]             all of it (default out/tiny); 44M tokens for tiny: under two
#                                  hours at the 7K tokens/s of two AVX2 cores
#   SCALE=1 runs/tiny.sh [OUT]     a rehearsal with 1 % of text and steps, a few minutes
#   INSTALL=yes|no                 put the models into model/tiny (default: yes at full scale)
#
# Run it again after an interruption: finished stages cost nothing, a training
# run goes on from its last checkpoint and ends at the same bits.
set -euo pipefail
cd "$(dirname "$0")/.."

scale=${SCALE:-100} # per cent of text, chats and steps
seed=1
bytes=$((80000000 * scale / 100)) # of text about the world
chats=$((150000 * scale / 100))   # conversations
vocab=2048                        # tokens, markers counted, every digit by itself: few, so that each is met often
seq=512                           # positions in pretraining
context=1024                      # positions in tuning and use
items=$((500 * scale / 100)); items=$((items < 20 ? 20 : items)) # per task of the score

# What differs: shape, learning rates, steps of 4096 tokens.
model() { # NAME
  case $1 in
  tiny) # 2.7M weights: the model that people meet
    shape="--depth 5 --dim 192 --heads 6 --kv-heads 2 --ffn 640"
    base_lr=0.008 base_steps=5000 chat_lr=0.002 chat_steps=6000 ;;
  tiny-s) # 0.52M weights: for tests, and as a draft
    shape="--depth 4 --dim 96 --heads 6 --kv-heads 2 --ffn 192"
    base_lr=0.012 base_steps=1500 chat_lr=0.006 chat_steps=1500 ;;
  esac
  base_steps=$((base_steps * scale / 100)) chat_steps=$((chat_steps * scale / 100))
}

out=${1:-out/tiny}
install=${INSTALL:-$([ "$scale" = 100 ] && echo yes || echo no)}
mkdir -p bin "$out"
CGO_ENABLED=0 go build -o bin/weft ./cmd/weft
weft=bin/weft
say() { printf '\n== %s (%dm%02ds)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }
once() { # FILE COMMAND...: a file appears whole, and is made once
  local file=$1
  shift
  [ -s "$file" ] || { "$@" >"$file.part" && mv "$file.part" "$file"; }
}

say "text and conversations, written by code"
world=$out/world-$seed-$bytes.txt
talk=$out/chats-$seed-$chats.jsonl
once "$world" $weft world corpus --seed $seed --bytes $bytes
once "$talk" $weft world chats --seed $seed --n $chats

say "tokenizer"
tok=$out/tokenizer-$seed-$bytes-$vocab.json
[ -s "$tok" ] || $weft tok train "$world" --vocab $vocab --pattern gpt2-digits --template weft --out "$tok"

for name in tiny tiny-s; do
  model $name
  dir=$out/$name
  say "$name: pretraining"
  $weft train "$world" --tokenizer "$tok" --template weft $shape --seq $seq --context $context --batch-tokens 4096 \
    --optimizer muon --lr $base_lr --steps $base_steps --val 0.02 --seed $seed --out "$dir/base"
  say "$name: tuning on conversations"
  $weft tune sft --base "$dir/base" --data "$talk" --batch-tokens 4096 --optimizer muon --lr $chat_lr --lr-floor 0 --steps $chat_steps \
    --val 0.02 --seed $seed --keep-every $((chat_steps / 4 > 0 ? chat_steps / 4 : 1)) --out "$dir/chat"
  say "$name: 8 bits"
  $weft quantize "$dir/chat" --out "$dir/model"
  say "$name: scores"
  $weft world score "$dir/model" --n $items --seed $seed --out "$dir/scores.json"
  if [ $name = tiny ]; then # score against training tokens
    $weft world score "$dir"/chat/step-* --n $((items / 5)) --seed $seed --out "$dir/curve.json" --curve "$dir/curve.svg"
  fi
  $weft world card "$dir/model" --run "$dir/chat" --scores "$dir/scores.json" --name "weft-$name" --recipe "$([ "$scale" = 100 ] || echo "SCALE=$scale ")runs/tiny.sh" \
    --data "the small world, seed $seed: $bytes bytes of text, $chats conversations" --license Apache-2.0 --out "$dir/model/README.md"
  [ "$scale" = 100 ] || printf '\n**A rehearsal, not the model**: made with %s %% of the text and steps of `runs/tiny.sh`.\n' "$scale" >>"$dir/model/README.md"
  (cd "$dir/model" && sha256sum README.md config.json model.safetensors tokenizer.json tokenizer_config.json >MANIFEST)
  if [ "$install" = yes ]; then
    say "$name: into model/tiny"
    rm -rf "model/tiny/$name"
    cp -r "$dir/model" "model/tiny/$name"
  fi
done

say "done"
if [ "$install" = yes ]; then
  go test ./model/tiny
  CGO_ENABLED=0 go build -o bin/weft ./cmd/weft
  $weft run tiny --chat 'Who are you?' --temperature 0 --max-tokens 60
fi
ls -l "$out"/tiny*/model/model.safetensors bin/weft
