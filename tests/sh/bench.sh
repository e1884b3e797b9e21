#!/bin/sh
# The losses of cleave bench, and the check that two programs train alike.
. "$(dirname "$0")/tap.inc"
agree=$root/tests/bench/agree.py

# runs CASE STEPS FIRST LAST: losses for seeds FIRST to LAST, a JSON list of lists
runs() {
  for seed in $(seq "$3" "$4"); do
    "$cleave" bench --losses "$2" --seed "$seed" "$1" || return 1
  done | jq -cs 'map(.losses)'
}
# The same learning at twice the speed: of two steps, the second loss.
every_second() { jq -c 'map([range(1; length; 2) as $i | .[$i]])' "$1"; }

go bench --losses 3 --seed 7 mlp-128
check 'bench --losses gives 0' same "$rc" 0
check 'as many losses as asked for, of the seed' same \
  "$(jq -c '[.case, .seed, (.losses | length)]' out)" '["mlp-128",7,3]'
cp out first
go bench --losses 3 --seed 7 --threads 1 mlp-128
check 'the same on one thread' cmp out first
go bench --losses 3 --seed 8 mlp-128
check 'others from another seed' test "$(cat out)" != "$(sed s/:7,/:8,/ first)"
go bench --losses 2 spd-512
check 'a decomposition has losses' same "$rc $(jq '.losses | length' out)" '0 2'
go bench --losses 3 gemm
check 'a case without training is refused' same "$rc" 1
check 'in one sentence' has err "case 'gemm' trains nothing, so it has no losses"

check 'losses of some seeds' eval 'runs mlp-128 126 1 4 >a'
check 'and of others' eval 'runs mlp-128 63 5 8 >b'
every_second a >fast
jq -c 'map(.[:63])' a >slow
check 'the same step agrees with itself' python3 "$agree" slow b
python3 "$agree" fast b >out
check 'a curve that falls twice as fast does not' same "$? $(tail -n 1 out)" '1 differ'
jq -c 'map(map(. + 0.5))' b >more
python3 "$agree" slow more >out
check 'nor one that is higher' same "$? $(tail -n 1 out)" '1 differ'
jq -c '.[0][5] = "NaN"' b | sed 's/"NaN"/NaN/' >nan
python3 "$agree" slow nan >out
check 'nor one with a loss that is not a number' same "$? $(tail -n 1 out)" '1 differ'
# levels 1, 2 and 3, 4: means 1.5 and 3.5, variances 0.5, error sqrt(0.25 + 0.25)
echo '[[1,2,2],[2,2,2]]' >x
echo '[[3,2,2],[4,2,2]]' >y
python3 "$agree" x y >out
check 'hand values: level' has out 'level of steps 1-1: 1.5 and 3.5, 2.8 standard errors'
# quotients 2, 1 and 2/3, 1/2
check 'hand values: fall' has out 'fall to steps 2-3: 1.5 and 0.5833, 1.8 standard errors'
plan_end
