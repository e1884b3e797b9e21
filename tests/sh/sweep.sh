#!/bin/sh
# cleave sweep: the grid, resuming, failures, launchers.
. "$(dirname "$0")/tap.inc"
unset OMPI_COMM_WORLD_RANK PMI_RANK SLURM_PROCID SLURM_ARRAY_TASK_ID SLURM_JOB_ID

cat >toy.lua <<'END_LUA'
local c = cl.config { seed = 1, lr = 0.1, pause = 0.0, profiles = { quick = { lr = 0.5 } } }
local x, r = 1, cl.rng(c.seed)
for step = 1, 5 do
  x = x * (1 - c.lr) + 0.01 * r:normal({ 1 }):item()
  cl.metric(step, { loss = x })
  if c.pause > 0 then cl.sleep(c.pause) end
end
return { loss = x }
END_LUA

# results FOLDER: every run's settings, result and metrics, without ids and times
results() {
  for d in "$1"/*/; do
    [ "$(jq -r .state "$d/run.json")" = done ] || continue
    jq -c '[.settings | del(.pause)] + [.result]' "$d/run.json" | tr '\n' ' '
    jq -c 'del(.t)' "$d/metrics.jsonl" | tr '\n' ' '
    echo
  done | sort
}
done_runs() { grep -l '"state": "done"' "$1"/*/run.json 2>/dev/null | wc -l | tr -d ' '; }
marks_unique() {
  same "$(jq -r 'select(.state == "done") | .point' "$1"/*/run.json | sort | uniq -d)" ''
}

go sweep --runs alone toy.lua seed=1..5 lr=1e-1,0.2
check 'a sweep ends in success' same "$rc" 0
check 'with a run for each point' same "$(done_runs alone)" 10
check 'and a table over seeds' same "$(grep -cE '^0\.[12] +5 +5 +[-0-9.]+ \+- ' out)" 2
check 'runs have one thread' same "$(jq .threads alone/*/run.json | sort -u)" 1
results alone >want
check 'results of ten points' lines want 10
go sweep --runs alone toy.lua lr=0.1,2e-1 seed=1..5
check 'the same grid, written otherwise, runs nothing again' same "$rc $(done_runs alone)" '0 10'
go sweep --runs alone toy.lua seed=4..7 lr=0.1
check 'a longer list runs what it adds' same "$rc $(done_runs alone)" '0 12'

go sweep --runs two toy.lua seed=1..5 lr=0.1,0.2 -j 2
check '-j 2 ends in success' same "$rc" 0
results two >got
check 'with the same results' cmp got want

# --- killed half-way, and again ------------------------------------------------------------
"$cleave" sweep --runs killed toy.lua seed=1..5 lr=0.1,0.2 pause=0.04 --jobs=2 >out 2>err &
pid=$!
within 20 sh -c '[ "$(grep -l done killed/*/run.json | wc -l)" -ge 3 ]'
kill -KILL $pid
wait $pid 2>/dev/null
before=$(done_runs killed)
check 'killed half-way, some are missing' [ "$before" -lt 10 ]
go sweep --runs killed toy.lua seed=1..5 lr=0.1,0.2 pause=0.04 -j2
check 'started again it ends complete' same "$rc $(done_runs killed)" '0 10'
check 'with nothing done twice' marks_unique killed
results killed >got
check 'and the same results' cmp got want

interrupted() {
  python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$cleave" sweep --runs stopped toy.lua seed=1..5 \
    lr=0.1,0.2 pause=0.1 -j 2 >out 2>err </dev/null &
  pid=$!
  within 20 sh -c '[ "$(grep -l done stopped/*/run.json | wc -l)" -ge 2 ] &&
    grep -l "\"running\"" stopped/*/run.json'
  kill -INT $pid
  wait $pid
}
interrupted
check 'SIGINT gives 130' same "$?" 130
check 'and says how to go on' has err 'goes on with what is missing'
check 'no run is left at work' within 5 sh -c '! grep -l "\"running\"" stopped/*/run.json'
check 'those at work were stopped' grep -l '"stopped"' stopped/*/run.json
go sweep --runs stopped toy.lua seed=1..5 lr=0.1,0.2 pause=0.1 -j2
check 'and it does go on' same "$rc $(done_runs stopped)" '0 10'
check 'with nothing done twice' marks_unique stopped

# --- failures ----------------------------------------------------------------------------------
cat >picky.lua <<'END_LUA'
local c = cl.config { seed = 1 }
if c.seed == 2 then error("two is odd") end
return { seed2 = c.seed ^ 2 }
END_LUA
go sweep --runs failures picky.lua seed=1..3
check 'a failing point gives 1' same "$rc" 1
check 'it is named with its sentence' has err 'failed: seed=2  picky.lua:2: two is odd'
check 'the others are done' same "$(done_runs failures)" 2
go sweep --runs failures picky.lua seed=1..3
check 'it is not tried again' same "$rc $(ls failures | wc -l | tr -d ' ')" '1 3'
go sweep --runs failures --retry picky.lua seed=1..3
check 'but with --retry' same "$rc $(ls failures | wc -l | tr -d ' ')" '1 4'
cat >dies.lua <<'END_LUA'
cl.config { seed = 1 }
local f = assert(io.open("tries", "a"))
f:write("x")
f:close()
local pid = io.open("/proc/self/stat"):read("n")
cl.sleep(0.2)
os.execute("kill -9 " .. pid)
cl.sleep(5)
END_LUA
go sweep --runs crashes dies.lua seed=1
check 'a crashed run gives 3' same "$rc" 3
check 'after a second try' same "$(cat tries)" xx
check 'and reads as crashed' same "$(jq -r .state crashes/*/run.json | sort -u)" crashed

# --- launchers ---------------------------------------------------------------------------------
(export SLURM_PROCID=0 SLURM_NTASKS=2; "$cleave" sweep --runs srun toy.lua seed=1..5 lr=0.1,0.2 >out0 2>&1)
check 'task 0 of 2 takes half' same "$(done_runs srun)" 5
check 'and prints no table' has out0 '5 of the grid'
(export SLURM_PROCID=1 SLURM_NTASKS=2; "$cleave" sweep --runs srun toy.lua seed=1..5 lr=0.1,0.2 >out1 2>&1)
results srun >got
check 'task 1 the other half' cmp got want
check 'and the last one prints it' has out1 'mean over seeds'
for i in 4 6 8; do
  (export SLURM_JOB_ID=7 SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_MIN=4 SLURM_ARRAY_TASK_COUNT=3 \
    SLURM_ARRAY_TASK_STEP=2 SLURM_PROCID=0 SLURM_NTASKS=4
  "$cleave" sweep --runs array toy.lua seed=1..5 lr=0.1,0.2 >/dev/null 2>&1)
done
results array >got
check 'the elements of an array do it all' cmp got want
(export PMI_RANK=3 PMI_SIZE=3; "$cleave" sweep --runs pmi toy.lua seed=1 >out 2>err)
check 'an impossible rank is refused' same "$?" 2
go sweep --runs 'a b' --slurm toy.lua seed=1..5 lr=0.1,0.2 -j 2
check 'a Slurm script' same "$rc $(head -n 1 out)" '0 #!/bin/sh'
check 'with an element for every two points' has out '#SBATCH --array=0-4'
check 'is a correct shell script' sh -n out
cp out job.sh
for i in 0 1 2 3 4; do
  SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=5 SLURM_ARRAY_TASK_MIN=0 sh job.sh >/dev/null 2>&1
done
results 'a b' >got
check 'and does the sweep' cmp got want
if command -v mpirun >/dev/null 2>&1; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  mpirun --oversubscribe -n 2 "$cleave" sweep --runs mpi toy.lua seed=1..5 lr=0.1,0.2 >out 2>err
  check 'mpirun -n 2 ends in success' same "$?" 0
  results mpi >got
  check 'with the same results' cmp got want
  check 'nothing done twice' marks_unique mpi
else
  check 'mpirun -n 2 # SKIP mpirun is not installed' true
fi

# --- profiles and wrong use --------------------------------------------------------------------
go sweep --runs quick toy.lua seed=1,2 profile=quick
check 'a profile replaces defaults' same "$(jq -c .settings.lr quick/*/run.json | sort -u)" 0.5
check 'and is noted' same "$(jq -r .settings.profile quick/*/run.json | sort -u)" quick
usage() {
  want=$1
  shift
  go sweep --runs wrong "$@"
  check "2 for: cleave sweep $*" same "$rc" 2
  check "and '$want'" has err "$want"
  check 'in one line' lines err 1
}
usage 'usage: cleave sweep'
usage 'No such file' missing.lua seed=1
usage 'name=1..5' toy.lua seed
usage 'never arrives' toy.lua seed=5..1
usage 'never arrives' toy.lua lr=0..1:-0.5
usage 'empty place' toy.lua seed=1,,2
usage 'given twice' toy.lua seed=1 seed=2
usage 'more than' toy.lua seed=1..1e9
usage "did you mean 'jobs'" --job=2 toy.lua seed=1
usage 'unknown option' -x toy.lua seed=1
usage 'must be' -j 0 toy.lua seed=1
check 'nothing was made for any of them' [ ! -e wrong ]
usage "did you mean 'lr'" toy.lua lrr=1
usage 'is not a number' toy.lua lr=fast
usage 'has quick' toy.lua profile=quik
plan_end
