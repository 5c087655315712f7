#!/usr/bin/env bash
# weft against llama.cpp on the same files and threads, in turn: a table in
# Markdown of medians and ratios, with weft's share of what the machine allows.
#
#   runs/llamacpp.sh BIN[:BIN...] MODEL.gguf...
#
# BIN is the build/bin of a CPU build of llama.cpp, with llama-bench and
# llama-batched-bench in it. Of several builds (gcc, clang, with BLAS), each with
# flash attention off and on, the best median counts. Random weights do:
#
#   weft export --random 1.1b --type q4_k_m --gguf 1.1b-q4_k_m.gguf
#
#   ROUNDS=5      times that each program runs, one after the other
#   THREADS=2     of both
#   PP=512 TG=128 tokens of a prompt; tokens generated
#   BATCHES=8,16  requests that generate side by side; BATCHES= leaves them out
#   FA="0 1"      flash attention of llama.cpp
#   RAW=FILE      keeps every figure (default out/llamacpp.tsv)
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,20s/^# \{0,1\}//p' "$0"; exit 2; }
command -v jq >/dev/null || { echo "jq is missing: it reads what both programs print" >&2; exit 1; }
IFS=: read -ra builds <<<"$1"
shift
models=()
for m; do models+=("$(realpath "$m")"); done
for i in "${!builds[@]}"; do builds[i]=$(realpath "${builds[i]}"); done
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5} threads=${THREADS:-2} pp=${PP:-512} tg=${TG:-128} batches=${BATCHES-8,16} raw=${RAW:-out/llamacpp.tsv}
mkdir -p bin "$(dirname "$raw")"
CGO_ENABLED=0 go build -o bin/weft ./cmd/weft
: >"$raw"
largest=${batches##*,}

peer() { # BIN FA MODEL: lines of test and tokens/s
  "$1/llama-bench" -m "$3" -p "$pp" -n "$tg" -t "$threads" -fa "$2" -r 1 -o json 2>/dev/null |
    jq -r '.[] | [(if .n_gen > 0 then "tg\(.n_gen)" else "pp\(.n_prompt)" end), .avg_ts] | @tsv'
  [ -z "$batches" ] || "$1/llama-batched-bench" -m "$3" -c $((largest * (tg + 32))) -npp 16 -ntg "$tg" -npl "$batches" -t "$threads" \
    -fa "$([ "$2" = 1 ] && echo on || echo off)" --output-format jsonl 2>/dev/null |
    jq -rR --arg tg "$tg" 'fromjson? | select(.pl) | ["tg\($tg) b\(.pl)", .speed_tg] | @tsv'
}
weft() { # MODEL: lines of test, tokens/s, share and roof
  bin/weft bench "$1" -p "$pp" -n "$tg" -b "1${batches:+,$batches}" -t "$threads" -r 1 --json |
    jq -r '.model[] | [.test, .median, .share, .of] | @tsv'
}
for model in "${models[@]}"; do
  for ((round = 1; round <= rounds; round++)); do
    for build in "${builds[@]}"; do
      for fa in ${FA:-0 1}; do
        peer "$build" "$fa" "$model" | sed "s|^|$(basename "$model" .gguf)\tpeer $build fa=$fa\t|" >>"$raw"
      done
    done
    weft "$model" | sed "s|^|$(basename "$model" .gguf)\tweft\t|" >>"$raw"
    echo "$(basename "$model"): round $round of $rounds" >&2
  done
done

awk -F'\t' -v threads="$threads" '
  function median(list,   n, x, i, j, t) {
    n = split(list, x, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && x[j] + 0 < x[j-1] + 0; j--) { t = x[j]; x[j] = x[j-1]; x[j-1] = t }
    return n % 2 ? x[(n+1)/2] : (x[n/2] + x[n/2+1]) / 2
  }
  { key = $1 FS $3; if (!(key in seen)) { seen[key] = 1; order[++keys] = key } }
  $2 == "weft" { weft[key] = weft[key] " " $4; share[key] = share[key] " " $5; of[key] = $6; next }
  { peer[key FS $2] = peer[key FS $2] " " $4 }
  END {
    print "| model | test | llama.cpp, tokens/s | with | weft, tokens/s | ratio | share of the floor | of |"
    print "|---|---|---:|---|---:|---:|---:|---|"
    for (k = 1; k <= keys; k++) {
      key = order[k]; split(key, name, FS); best = 0; with = "-"
      for (p in peer) {
        split(p, part, FS)
        if (part[1] FS part[2] == key && (m = median(peer[p])) > best) { best = m; with = part[3]; sub(/^peer /, "", with) }
      }
      w = median(weft[key])
      printf "| %s | %s | %.2f | %s | %.2f | %s | %.0f %% | %s |\n", name[1], name[2], best, with, w, (best ? sprintf("%.2f", w / best) : "-"), 100 * median(share[key]), of[key]
    }
    print "\n" threads " threads; medians of what both programs say, in turn"
  }' "$raw"
