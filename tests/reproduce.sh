#!/bin/sh
# Longer reproductions. Each prints a table with the mean over seeds and the 95 % interval of the
# mean (Student's t); the README's tables come from here.
# Usage: make reproduce [SEEDS="1 2 3"]
set -eu
: "${BUILD:=build}" "${SEEDS:=1 2 3}"
runs=${RUNS:-runs/reproduce}
mkdir -p "$runs"
list=''
for seed in $SEEDS; do
  echo "two_bank.lua, seed $seed"
  dir=$("$BUILD/cleave" run --runs "$runs" scripts/two_bank.lua "seed=$seed" 2>/dev/null | tail -n 1)
  list="$list $dir/run.json"
done
# shellcheck disable=SC2086
jq -rs '
  def t95: [0, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262][.];
  def fmt: if . == null then "-" else (. * 10000 | round / 10000 | tostring) end;
  def stats: length as $n | (add / $n) as $m
    | if $n < 2 then { m: $m, h: null }
      else { m: $m, h: (([.[] | (. - $m) * (. - $m)] | add / ($n - 1) / $n | sqrt) * ($n - 1 | t95)) } end;
  [.[].result[:4][]] | group_by(.name) | map({ name: .[0].name, rows: . })
  | (["method", "metric", "mean", "+-95%", "seeds"] | @tsv),
    (.[] | .name as $name | .rows as $rows
      | ("similarity_data", "limit_data", "similarity", "limit", "base_acc", "test_acc", "agreement",
         "pattern_gini", "locality_7x7", "cancellation_data", "keep16_agreement", "erase_corr",
         "ablation_rank_corr") as $metric
      | [$rows[][$metric] | numbers] | select(length > 0) | length as $n | stats
      | [$name, $metric, (.m | fmt), (.h | fmt), ($n | tostring)] | @tsv)
' $list | column -t

# study SCRIPT SETTING...: prints the tables as the script does
study() {
  echo
  echo "$*"
  name=$1
  shift
  "$BUILD/cleave" run --runs "$runs" "scripts/$name.lua" "$@" 2>/dev/null
}
study tensor_study profile=full
study tensor_stability seeds=5
for name in tensor_parts tensor_frontier tensor_gauge tensor_planted tensor_regulariser; do study $name; done
study spd_tms profile=all
study spd_tms profile=full target_seed=1
study spd_resid profile=full
study spd_resid profile=full depth=2
study spd_resid profile=full depth=3
study superposition profile=full
study sae_zoo
study transcoder profile=full
study logit_sae profile=full
study ffn_sweep profile=full "keep=$runs/ffn"
study toy_superposition profile=full
for seed in 43 44 42; do
  study spd_mnist "seed=$seed"
  spd=$(ls -d "$runs"/*-spd_mnist-* | tail -n 1)
  study causal decomposition="$spd/spd.safetensors" network="$spd/net.safetensors"
done
study spd_vs_transcoder decomposition="$spd/spd.safetensors" network="$spd/net.safetensors"
study shapes profile=full
study spd_mnist profile=published
study shapes profile=published

# judge NAME COMMAND...: whole-program tests that take long or need more than `make test` has
judge() {
  echo
  echo "$1"
  shift
  "$@" >"$runs/judged.tap" 2>&1 || { cat "$runs/judged.tap"; exit 1; }
  grep -v '^ok .*[^)]$' "$runs/judged.tap" || true
}
export BUILD
sh scripts/setup.sh run test reproduce
judge 'kill -9 at 200 random moments of a run' env KILLS=200 sh tests/sh/kill.sh
judge 'a sweep alone, in a pool, under mpirun, killed and started again' sh tests/sh/sweep.sh
judge 'the same as a Slurm array on one node' sh tests/sh/slurm.sh
