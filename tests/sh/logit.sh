#!/bin/sh
# The logit study and the sweep of classifiers on the real digits with tiny settings: they run to
# their end, leave what they promise, agree with themselves, and read what was kept.
. "$(dirname "$0")/tap.inc"
scripts=$root/scripts

# run_script NAME [SETTING...]: leaves the folder of the run in $run
run_script() {
  name=$1
  shift
  run=$("$cleave" run --runs runs "$scripts/$name.lua" "$@" 2>err | tail -n 1)
  check "$name.lua runs to its end" same "$(jq -r .state "$run/run.json")" done
}
failed() { jq -c '[.result.checks[] | select(.held | not) | .text]' "$run/run.json"; }

run_script logit_sae profile=tiny keep="$PWD/net"
check 'its expectations hold' same "$(failed)" '[]'
first=$(jq -c '.result | del(.checks)' "$run/run.json")
for f in BEST_RESULTS.md summary.json figures/006-atoms.png; do
  check "it leaves $f" test -s "$run/$f"
done
check 'and no half of a file' same "$(find "$run" -name '*.tmp*' | wc -l)" 0
check 'summary.json has every code of every seed' same \
  "$(jq '[.found[] | length] | unique | .[]' "$run/summary.json")" 2
check 'the written code gives every answer' same \
  "$(jq '[.found["written down, 10 latents"][].acc_loss] | unique | .[]' "$run/summary.json")" 0
check 'the report compares with the published figures' grep -q '| MSE z, val | 0.1743 |' "$run/BEST_RESULTS.md"
check 'and gives verdicts' grep -q 'Which control always hits its L0' "$run/BEST_RESULTS.md"
run_script logit_sae profile=tiny keep="$PWD/net"
check 'networks that were kept give the same numbers' same "$(jq -c '.result | del(.checks)' "$run/run.json")" "$first"

run_script ffn_sweep profile=tiny only='sweep 1024' keep="$PWD/sweep"
check 'its expectations hold' same "$(failed)" '[]'
first=$(jq -c '.result.sweep' "$run/run.json")
check 'four rates were tried' same "$(echo "$first" | jq length)" 4
check 'and kept' same "$(find . -maxdepth 1 -name 'sweep-sweep*.json' | wc -l)" 4
check 'finished points leave no checkpoints' same "$(find . -name 'sweep-*-last.safetensors' | wc -l)" 0
run_script ffn_sweep profile=tiny only='sweep 1024' keep="$PWD/sweep"
check 'a second run reads them' same "$(jq -c '.result.sweep' "$run/run.json")" "$first"

run_script ffn_sweep profile=tiny only='recipe 128'
check 'networks and coded networks are measured on four sets' same "$(jq '.result.coded | length' "$run/run.json")" 8
plan_end
