#!/usr/bin/env bash
# weft serve against llama-server under the same load, in turn: tokens/s, the time
# to the first token, and what a long prompt does to those who are being answered.
#
#   runs/served.sh BIN MODEL.gguf      BIN holds llama-server, a CPU build
#
#   ROUNDS=5 THREADS=2 USERS=8         llama-server gets a slot for each user
#   PROMPT=128 OUTPUT=128 REQUESTS=32  tokens, and requests of a round
#   LATE=4096 LATE_OUTPUT=1024         a prompt that comes amid users who are given so many tokens; LATE= leaves it out
#   LATE_AFTER=5s                      how long they are watched before
#   WEFT_FLAGS= PEER_FLAGS="-fa on"    more flags of the servers
#   WEFT_PORT=18080 PEER_PORT=18081
set -euo pipefail
[ $# -eq 2 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2; }
command -v jq >/dev/null || { echo "jq is missing: it reads the reports" >&2; exit 1; }
bin=$(realpath "$1") model=$(realpath "$2")
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5} threads=${THREADS:-2} users=${USERS:-8} prompt=${PROMPT:-128} output=${OUTPUT:-128} requests=${REQUESTS:-32}
late=${LATE-4096} long=${LATE_OUTPUT:-1024} after=${LATE_AFTER:-5s}
weft_port=${WEFT_PORT:-18080} peer_port=${PEER_PORT:-18081}
mkdir -p bin out
CGO_ENABLED=0 go build -o bin/weft ./cmd/weft

pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null' EXIT
up() { # PORT NAME COMMAND...: starts a server and waits until it answers
  local port=$1 name=$2
  shift 2
  "$@" >"out/served-$name.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 600); do
    curl -sf "http://127.0.0.1:$port/health" >/dev/null && return
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.2
  done
  echo "$name does not answer: see out/served-$name.log" >&2
  exit 1
}
# A slot more, for the late prompt; llama-server divides its context among the slots.
slots=$((users + 1)) each=$((prompt + (output > long ? output : long) + 512))
[ -z "$late" ] || each=$((each > late + 512 ? each : late + 512))
up "$weft_port" weft bin/weft serve "$model" --addr "127.0.0.1:$weft_port" --threads "$threads" ${WEFT_FLAGS:-}
up "$peer_port" peer "$bin/llama-server" -m "$model" --host 127.0.0.1 --port "$peer_port" -np "$slots" -c $((slots * each)) -t "$threads" \
  ${PEER_FLAGS--fa on}

ask() { # PORT FLAGS...
  local port=$1
  shift
  bin/weft load "http://127.0.0.1:$port" --api completions --concurrency "$users" --prompt-tokens "$prompt" --json "$@"
}
raw=out/served.tsv
: >"$raw"
for ((round = 1; round <= rounds; round++)); do
  for name in peer weft; do
    port=$([ $name = weft ] && echo "$weft_port" || echo "$peer_port")
    ask "$port" --output-tokens "$output" --requests "$requests" --seed "$round" |
      jq -r --arg n "$name" '.steps[0] | [["output tokens/s", .output_tokens_per_s], ["TTFT p50, s", .ttft.p50], ["TTFT p95, s", .ttft.p95],
        ["ITL p50, s", .itl.p50], ["ITL p99, s", .itl.p99], ["errors", (.errors // {} | add // 0)]][] | [$n, .[0], .[1]] | @tsv' >>"$raw"
    [ -z "$late" ] || ask "$port" --output-tokens "$long" --late-prompt "$late" --late-after "$after" --seed "$((1000 + round))" |
      jq -r --arg n "$name" --arg late "$late" '.steps[0].late | if .error then error(.error) else . end |
        [["ITL p99 before a prompt of \($late), s", .itl_before.p99], ["ITL p99 meanwhile, s", .itl_during.p99],
        ["ITL p99, meanwhile by before", .itl_during.p99 / .itl_before.p99], ["TTFT of the prompt, s", .ttft]][] | [$n, .[0], .[1]] | @tsv' >>"$raw"
    echo "$name: round $round of $rounds" >&2
  done
done
echo "$(basename "$model" .gguf), $users users, prompts of $prompt tokens, answers of $output, $threads threads, medians of $rounds rounds in turn"
echo
awk -F'\t' '
  function median(list,   n, x, i, j, t) {
    n = split(list, x, " ")
    for (i = 2; i <= n; i++) for (j = i; j > 1 && x[j] + 0 < x[j-1] + 0; j--) { t = x[j]; x[j] = x[j-1]; x[j-1] = t }
    return n % 2 ? x[(n+1)/2] : (x[n/2] + x[n/2+1]) / 2
  }
  { if (!($2 in seen)) { seen[$2] = 1; order[++names] = $2 } all[$1 FS $2] = all[$1 FS $2] " " $3 }
  END {
    print "| | llama-server | weft serve | weft by llama-server |\n|---|---:|---:|---:|"
    for (i = 1; i <= names; i++) {
      p = median(all["peer" FS order[i]]); w = median(all["weft" FS order[i]])
      printf "| %s | %.4g | %.4g | %s |\n", order[i], p, w, (p ? sprintf("%.2f", w / p) : "-")
    }
  }' "$raw"
