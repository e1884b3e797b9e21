#!/bin/sh
# The bundled experiments on the real digits: every expectation that a script states must hold,
# the files it promises must be there, and the same seed must give the same results.
. "$(dirname "$0")/tap.inc"
scripts=$root/scripts

# run_script NAME [SETTING...]: leaves the folder of the run in $run
run_script() {
  name=$1
  shift
  run=$("$cleave" run --runs runs "$scripts/$name.lua" "$@" 2>err | tail -n 1)
  check "$name.lua runs to its end" same "$(jq -r .state "$run/run.json")" done
}
# The list of checks is in the result itself or in its row called "checks".
checks='(.result | if type == "array" then (.[] | select(.name == "checks") | .list) else .checks end)'
all_hold() {
  check "$1.lua states expectations" [ "$(jq "$checks | length" "$run/run.json")" -ge "$2" ]
  check "and all of them hold" same "$(jq -c "[$checks[] | select(.held | not) | .text]" "$run/run.json")" '[]'
}

run_script quick
all_hold quick 2
first=$(jq -c '.result | del(.checks)' "$run/run.json")
run_script quick
check 'the same seed gives the same numbers' same "$(jq -c '.result | del(.checks)' "$run/run.json")" "$first"

run_script eigen
all_hold eigen 3

run_script two_bank
all_hold two_bank 7
for f in report.md network.safetensors dictionary.safetensors figures/003-ours.png; do
  check "it leaves $f" test -s "$run/$f"
done
row() { jq ".result[] | select(.name == \"$1\") | .$2" "$run/run.json"; }
above() { [ -n "$1" ] && [ -n "$2" ] && awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > b) }'; }
check 'our similarity stays below its limit' above "$(row ours limit_data)" "$(row ours similarity_data)"
check 'an untrained network is less local than ours' above "$(row ours locality_7x7)" "$(row random_network locality_7x7)"
check 'and so is the start from a random gauge' above "$(row ours locality_7x7)" "$(row random_gauge locality_7x7)"
check 'the two banks are as good as published' above "$(row two_bank similarity)" 0.8889
check 'peak memory stays below 350 MB' above 350000000 "$(jq .max_rss "$run/run.json")"

run_script superposition seeds=2 long=1200 cell_steps=20 samples=100000
all_hold superposition 5
run_script toy_superposition grid=3 restarts=2 many=40 dims=4 densities=3
check 'toy_superposition.lua states expectations' [ "$(jq '.result.checks | length' "$run/run.json")" -ge 5 ]
run_script shapes profile=quick live=false
all_hold shapes 3
check 'shapes.lua answers' [ "$(jq -r '.result.answer | length' "$run/run.json")" -ge 8 ]
check 'and its own answers are the nine atoms' same \
  "$(jq '[.result.seeds[0].verdicts[] | select(.parts == "answers") | .values] | add' "$run/run.json")" 9

run_script spd_tms steps=300 restarts=0 live=false
first() { jq ".result[0].$1" "$run/run.json"; }
check 'a decomposition cut short is called failed' same "$(first recovered)" false
check 'although its directions agree' above "$(first mmcs)" 0.9
check 'and it says why' test -n "$(first why)"
plan_end
