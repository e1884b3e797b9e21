#!/bin/sh
# cleave runs, cl.runs, cleave verify: what is kept is found, compared, exported and checked.
. "$(dirname "$0")/tap.inc"

cat >study.lua <<'END_LUA'
local c = cl.config { seed = 1, lr = 0.1, note = "a,b" }
for step = 0, 20 do cl.metric(step, { loss = c.lr * c.seed / (step + 1) }) end
cl.show(cl.images(cl.zeros { 1, 4, 4 } + 1, { title = "a picture" }), "ones")
cl.claim("ten times the seed", 10 * c.seed, { interval = 0.5 })
cl.check("the seed is positive", c.seed > 0)
cl.report { "# A study" }
return { acc = 1 - c.lr / c.seed, seconds = 3 }
END_LUA
go runs
check 'no runs yet is no error' same "$rc $(cat out)" "0 no runs yet: there is no folder 'runs'"
for lr in 0.1 0.2; do
  for seed in 1 2 3; do
    go run study.lua lr=$lr seed=$seed
    eval "run$(echo $lr | tr -d .)_$seed=$(last_run)"
  done
done
echo 'error("no")' >bad.lua
go run bad.lua

go runs
check 'the list' same "$rc" 0
check 'has a row for each run' same "$(grep -cE '^[1-7] ' out)" 7
check 'with the state' same "$(grep -c ' done ' out) $(grep -c ' failed ' out)" '6 1'
check 'what varies is a column' grep -qE '^# .* lr +seed' out
check 'what does not, is none' lacks out note
check 'into a pipe without escapes' sh -c '! grep -q "$(printf "\033")" out'
check '80 columns hold' sh -c '! grep -qE "^.{81}" out'
go runs --width 40
check '40 columns too' sh -c '! grep -qE "^.{41}" out'
ids() { awk '/^ *[0-9]/ { print $1 }' out | tr '\n' ' '; }
filtered() {
  want=$1
  shift
  go runs "$@"
  check "cleave runs $*" same "$(ids)" "$want"
}
filtered '1 2 3 ' 'lr<0.15'
filtered '2 3 ' 'lr<=0.1' 'seed>1'
filtered '1 3 4 6 ' seed=1,3
filtered '2 5 ' state=done 'seed!=1,3'
filtered '7 ' name~AD
filtered '1 2 3 4 5 6 ' 'name!~bad'
filtered '4 ' 'acc<.85'
filtered '4 ' 'result.acc<.85'
filtered '3 2 6 1 5 4 ' --sort -acc state=done
filtered '1 2 3 4 5 6 ' 'script=study.lua' 'start>2020-01-01'
filtered '' state=live
go runs --group lr --baseline lr=0.1 --columns acc state=done
check 'groups have a mean over seeds with its interval' \
  same "$(awk '$1 == "0.1" { print $2, $3, $4, $5, $6 }' out)" '3 3 0.9389 +- 0.086'
check 'and differences paired by seed' \
  same "$(awk '$1 == "0.2" { print $7, $8, $9 }' out)" '-0.06111 +- 0.086'
go runs --csv
check 'CSV' same "$(wc -l <out | tr -d ' ')" 8
check 'has every key' grep -q '^number,id,name,state,.*lr,.*seed,.*acc' out
check 'all digits' grep -q '0.9333333333333333,' out
check 'and quotes' has out '"a,b"'
go runs --keys
check 'keys are listed' has out settings.lr
go runs show 2
check 'show' same "$rc" 0
check 'has the settings' grep -qE '^note +a,b' out
check 'the result' grep -qE '^acc +0.95' out
check 'the curve' has out step
check 'and the picture' has out 'figures/001-ones.png'
elsewhere=$PWD/$run02_3
mkdir -p far
cd far || exit 1
go runs show "$elsewhere/"
cd .. || exit 1
check 'a run is found by its path from elsewhere' same "$rc" 0
go runs show "$run02_3/"
check 'by folder' has out "$run02_3"
id=${run02_3##*-}
go runs show "$id"
check 'by id' has out "$run02_3"
go runs show "$(basename "$run02_3" | cut -c 1-26)"
check 'by a beginning, if it is the only one' same "$rc" 0
go runs compare 1 2 3 4 5 6
check 'compare' same "$rc" 0
check 'has what differs' grep -qE '^settings.lr +0.1' out
check 'and nothing else' lacks out settings.note
check 'runs that differ in the seed are one line' has out 'lr 0.1 (3 runs)'
check 'with a band' has out 'band: 95 %'

# --- from Lua --------------------------------------------------------------------------------
cat >lua.lua <<'END_LUA'
local rows = cl.runs { where = "state=done lr>0.1", sort = "-seed" }
print(#rows, rows[1].seed, rows[1].acc == 1 - 0.2 / 3, rows[1].state)
local groups = cl.runs { where = "state=done", group = "lr", baseline = "lr=0.1" }
print(#groups, groups[2].seeds, ("%.4f %.4f"):format(groups[2].acc, groups[2].acc_diff))
print(select(2, pcall(cl.runs, { where = "rl=1" })))
END_LUA
go run lua.lua
check 'cl.runs gives rows' same "$(sed -n 1p out)" '3	3	true	done'
check 'and groups' same "$(sed -n 2p out)" '2	3	0.8778 -0.0611'
check 'a wrong filter is an error' has out "did you mean 'lr'"

# --- claims ----------------------------------------------------------------------------------
check 'a report ends in claims' has "$run02_3/report.md" '| ten times the seed | 30 |'
check 'that name run, seed and command' \
  has "$run02_3/report.md" "$(basename "$run02_3") | 3 | cleave run study.lua lr=0.2 seed=3 |"
check 'with settings and environment' sh -c "grep -q '^| note | a,b |' $run02_3/report.md &&
  grep -q '^| isa | ' $run02_3/report.md && grep -q '^| blas' $run02_3/report.md"
check 'and what the script reported' has "$run02_3/report.md" '# A study'
check 'durations are no claims' lacks "$run02_3/report.md" '| seconds | 3 |'
before=$(ls runs | wc -l)
go verify "$run02_3/report.md"
check 'verify: all hold' same "$rc $(grep -c '^holds' out)" '0 3'
check 'it leaves nothing behind' same "$(ls runs | wc -l)" "$before"
go verify --runs kept "$run02_3/report.md"
check 'but with --runs' [ -f "$(head -n 1 out)/run.json" ]
go verify --quick "$run02_3/report.md"
check '--quick compares with the folder' same "$rc $(grep -c '^holds' out)" '0 3'
echo '-- changed' >>study.lua
go verify "$run02_3/report.md"
check 'after the script changed, its copy is run' same "$rc" 0
sed 's/"value":30,"lo":29.5,"hi":30.5/"value":35,"lo":34.5,"hi":35.5/' "$run02_3/report.md" \
  >"$run02_3/wrong.md"
go verify "$run02_3/wrong.md"
check 'a claim that does not hold gives 1' same "$rc" 1
check 'and is marked' grep -qE '^FAILS +35 .* 30 +ten times the seed' out
sed 's/^| ten times the seed | 30 |/| ten times the seed | 31 |/' "$run02_3/report.md" \
  >"$run02_3/wrong.md"
go verify "$run02_3/wrong.md"
check 'an edited table of claims gives 1' same "$rc $(grep -c '^holds' out)" '1 3'
check 'and is said' has err 'was edited'
cp "$run02_3/report.md" apart.md
go verify apart.md
check 'without any copy of the script: 2' same "$rc" 2
check 'and says so' has err 'not the script of this report any more'
sed 's/"claims":\[/"claims":[7,/' apart.md >damaged.md
go verify damaged.md
check 'a damaged ledger gives 2' same "$rc $(wc -l <err | tr -d ' ')" '2 1'

# --- live, crashed, damaged ------------------------------------------------------------------
echo 'cl.metric(1, { loss = 1 }) cl.sleep(60)' >sleeps.lua
"$cleave" run sleeps.lua >live.out 2>&1 &
parent=$!
live=''
within 10 sh -c 'grep -l "\"running\"" runs/*-sleeps-*/run.json'
live=$(echo runs/*-sleeps-*)
go runs state=live
check 'a live run is told' same "$rc $(grep -c ' running ' out)" '0 1'
go runs remove --yes "$(basename "$live")"
check 'and cannot be removed' same "$rc $([ -d "$live" ] && echo there)" '2 there'
kill -KILL $parent "$(jq .pid "$live/run.json")"
wait $parent 2>/dev/null
within 10 sh -c "'$cleave' runs state=crashed | grep -q sleeps"
go runs state=crashed
check 'a killed one reads as crashed' same "$(ids)" '9 '
check 'with its last metrics' has out loss
mkdir runs/20200101-000000-torn-aaaaaa runs/other
echo '{"state": "do' >runs/20200101-000000-torn-aaaaaa/run.json
go runs state=damaged
check 'a damaged run.json does not hide the others' same "$rc $(grep -c ' damaged' out)" '0 1'
rm -r runs/20200101-000000-torn-aaaaaa
go runs
check 'what is no run is no row' lacks out other

# --- removing --------------------------------------------------------------------------------
go runs remove 1 2
check 'nobody to ask: 2' same "$rc $([ -d "$run01_1" ] && echo there)" '2 there'
script -q -e -c "$cleave runs remove 1" /dev/null >asked 2>&1 <<END_ANSWER
n
END_ANSWER
check 'a question is asked' has asked 'Remove 1 run ('
check 'and no is no' [ -d "$run01_1" ]
go runs remove --yes 1 2
check 'removed' same "$rc $(ls -d "$run01_1" "$run01_2" 2>/dev/null)" '0 '
check 'without a trace' same "$(ls -A runs | grep -c removed)" 0

# --- the index -------------------------------------------------------------------------------
python3 - <<'END_PY'
import json, os
for i in range(10000):
    d = "many/20260101-%06d-grid-%06x" % (i % 240000, i)
    os.makedirs(d)
    with open(d + "/run.json", "w") as f:
        json.dump({"state": "done", "start": "2026-01-01T00:00:%06d" % i, "host": "elsewhere",
                   "pid": 1, "seconds": 1.5, "script": "grid.lua",
                   "settings": {"seed": i % 10, "rank": 2 ** (i % 8), "lr": 1e-3 * (1 + i % 5)},
                   "result": [{"name": "a", "acc": i / 10000, "loss": 1 / (i + 1)},
                              {"name": "b", "acc": i / 20000}]}, f)
    with open(d + "/metrics.jsonl", "w") as f:
        for s in range(5):
            f.write('{"step":%d,"t":1,"loss":%g}\n' % (s, 1 / (s + i + 1)))
END_PY
timed() {
  from=$(date +%s%N)
  "$@"
  took=$((($(date +%s%N) - from) / 1000000))
}
timed go runs --runs many 'a.acc>=.9999' --columns number,a.acc
check "10,000 runs, first ($took ms)" same "$(sed -n '/^ *[0-9]/p' out | tr -s ' ')" '10000 0.9999'
check 'an index is kept' [ -s many/.cleave-index ]
timed go runs --runs many 'a.acc>=.9998' --columns number
check "10,000 runs, again ($took ms)" same "$(ids)" '9999 10000 '
timed go runs --runs many --group rank --columns a.acc
check "10,000 runs in groups ($took ms)" same "$(grep -c ' 1250 ' out)" 8
# the same time, size and inode: whoever reads the file again would see the difference
f=$(echo many/*-grid-000005/run.json)
touch -r "$f" stamp
sed 's/grid.lua/grud.lua/' "$f" >other.json
cat other.json >"$f"
touch -r stamp "$f"
go runs --runs many script=grid.lua --columns number
check 'what is in the index is not read again' same "$(ids | wc -w | tr -d ' ')" 10000
touch "$f"
go runs --runs many script=grud.lua --columns number
check 'unless its time changes' same "$(ids)" '6 '
rm -r many/*-grid-00000[0-3]
cp -r many/*-grid-000004 many/20260102-000000-new-zzzzzz
go runs --runs many 'number>=9996' --columns number,name
check 'folders come and go' same "$(ids)" '9996 9997 '
printf '{"dir"\n\000\n[]\n' >many/.cleave-index
go runs --runs many --columns number
check 'a damaged index is made again' same "$rc $(ids | wc -w | tr -d ' ')" '0 9997'
for i in 1 2 3 4; do "$cleave" runs --runs many --columns number >"reader$i" 2>&1 & done
rm -f many/.cleave-index
go run --runs many bad.lua
wait
all_there() {
  for r in reader1 reader2 reader3 reader4; do
    rows=$(grep -cE '^ *[0-9]+ *$' $r)
    [ "$rows" = 9997 ] || [ "$rows" = 9998 ] || { echo "$rows rows in $r"; return 1; }
  done
}
check 'many readers at once, and a writer' all_there
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null 2>&1; then
  reader='setpriv --reuid=65534 --regid=65534 --clear-groups --'
else
  reader=''
fi
chmod 755 "$scratch"
rm -f many/.cleave-index
chmod 555 many
mkdir -m 777 cache
XDG_CACHE_HOME=$scratch/cache $reader "$cleave" runs --runs many number=1 --columns number >out 2>err
check 'a folder that cannot be written is read' same "$? $(ids)" '0 1 '
check 'and its index kept in the cache' [ -s cache/cleave/index-* ]
timed env XDG_CACHE_HOME="$scratch/cache" $reader "$cleave" runs --runs many number=2 --columns number >out
check "which is used ($took ms)" same "$(ids)" '2 '
check 'nothing was written there' [ ! -e many/.cleave-index ]
chmod 755 many

# --- wrong use -------------------------------------------------------------------------------
usage() {
  want=$1
  shift
  go "$@"
  check "2 for: cleave $*" same "$rc" 2
  check "and '$want'" has err "$want"
  check 'in one line' lines err 1
}
usage "did you mean 'seed'" runs sed=1
usage 'is no filter' runs seed
usage 'is no filter' runs seed=
usage "holds numbers, 'many' is none" runs 'seed>many'
usage "did you mean 'show'" runs shw 1
usage 'takes one run' runs show
usage 'takes two or more' runs compare 3
usage 'takes one or more' runs remove
usage 'no run' runs show oil
usage 'begin with' runs show 20
usage 'no run has' runs --sort -nothing
usage 'no run has' runs --group nothing
usage '--baseline needs --group' runs --baseline lr=1
usage "did you mean 'loss'" runs --columns id,los
usage 'no group fits' runs --group lr --baseline lr=7
usage "did you mean 'group'" runs --groups lr
usage 'cannot read the folder' runs --runs nowhere
usage 'usage: cleave verify' verify
usage 'No such file' verify nothing.md
usage 'no claim ledger' verify study.lua
plan_end
