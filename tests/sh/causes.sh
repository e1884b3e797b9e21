#!/bin/sh
# MNIST taken apart by stochastic masks, its causes, and the comparison with transcoders, at tiny
# settings on the real digits: the tables are complete, what must be equal is, a stopped run goes on
# from its checkpoint to the same bits.
. "$(dirname "$0")/tap.inc"
scripts=$root/scripts

# run_script NAME [SETTING...]: leaves the folder of the run in $run
run_script() {
  name=$1
  shift
  run=$("$cleave" run --runs runs "$scripts/$name.lua" "$@" 2>err | tail -n 1)
}
ends() { check "$1" same "$(jq -r .state "$run/run.json")" done; }
holds() {
  check "$1" jq -e ".result | $2" "$run/run.json"
}

tiny='profile=quick steps=60 null_steps=20 components=40 images=300 live=false'
# shellcheck disable=SC2086
run_script spd_mnist $tiny
ends 'spd_mnist.lua runs to its end'
whole=$run
holds 'no mask is the network itself' \
  '.masks[0] | .masks == "target" and .agreement == 1 and .kl < 1e-6 and .unrecovered == 0'
holds 'nine kinds of masks, all with numbers' \
  '.masks | length == 9 and all(.[]; .accuracy >= 0 and .accuracy <= 1 and .kl > -1e-6 and (.ce | isnormal))'
holds 'zeros are worse than all components' '.masks as $m | $m[6].ce > $m[1].ce'
holds 'both layers are counted' '.layers | length == 2 and all(.[]; .alive <= .components and .l0 <= .components)'
holds 'the adversary finds worse masks than chance' \
  '[.losses[] | {(.loss): .value}] | add | .pgd_subset > .subset'
holds 'seven verdicts' '.checks | length == 7'
for f in net.safetensors spd.safetensors spd-last.safetensors report.md; do
  check "it leaves $f" test -s "$whole/$f"
done
check 'and pictures of components' test -s "$(ls "$whole"/figures/*-components.png)"

# shellcheck disable=SC2086
run_script spd_mnist $tiny checkpoint_every=25 stop_at=30
part=$run
check 'a run that is stopped leaves a checkpoint' test -s "$part/spd-last.safetensors"
# shellcheck disable=SC2086
run_script spd_mnist $tiny resume="$part/spd" network="$part/net.safetensors"
ends 'it goes on from there'
check 'to the same bits' cmp "$whole/spd.safetensors" "$run/spd.safetensors"

saved="decomposition=$whole/spd.safetensors network=$whole/net.safetensors"
# shellcheck disable=SC2086
run_script causal profile=quick rows=300 regression_rows=300 most=8 $saved
ends 'causal.lua runs on a saved decomposition'
holds 'nine verdicts' '.checks | length == 9'
holds 'causes share the contradictions' \
  '.signs | .against == 0 or ([.causes[].share] | add | . > 0.999 and . < 1.001)'
holds 'without a cause that turns nothing all contradictions stay' \
  '.signs as $s | $s.causes | all(.[]; .turns > 0 or .left == $s.against)'
holds 'our effects have no misplaced bias' '[.own_signs.causes[] | select(.name == "bias")][0].turns == 0'
holds 'two inputs explain no more than all' '.r2_top2 <= .r2 + 1e-6 or .r2 < 0.2'
holds 'shuffled images explain nothing' '.r2_null < 0.2'
holds 'sorting removes crossings' '.crossings <= .crossings_null * 2'
check 'the graph is a picture' test -s "$(ls "$run"/figures/*-graph.png)"
first=$(jq -c '.result | del(.checks)' "$run/run.json")
# shellcheck disable=SC2086
run_script causal profile=quick rows=300 regression_rows=300 most=8 $saved
check 'the same seed gives the same numbers' same "$(jq -c '.result | del(.checks)' "$run/run.json")" "$first"
go run --runs runs "$scripts/causal.lua" profile=quick network="$whole/net.safetensors"
check 'half of a saved decomposition is refused' has err 'give both files or neither'

run_script spd_vs_transcoder profile=quick steps=40 born_steps=40 sae_steps=30 split_steps=30 images=200 seeds=2
ends 'spd_vs_transcoder.lua runs to its end'
holds 'every comparison has its null and a verdict' \
  '.matching | length >= 18 and all(.[]; .null >= 0 and .null_max >= .null and (.verdict | length > 3))'
holds 'greedy is never better than the best matching' '.matching | all(.[]; .greedy <= .hungarian + 1e-9)'
holds 'networks before and after are compared' '.before_after | length == 4'
holds 'splitting is measured for three kinds and two seeds' \
  '.splitting | length == 6 and all(.[]; .growth > 0 and .twin >= 0 and .twin <= 1.000001)'
plan_end
