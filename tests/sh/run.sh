#!/bin/sh
# cleave run: output, exit codes, settings, the run folder.
. "$(dirname "$0")/tap.inc"

echo 'return 1' >empty.lua
go run empty.lua
check 'an empty script ends in success' same "$rc" 0
check 'and prints one line, the run folder' lines out 1
dir=$(last_run)
check 'which lies in ./runs' same "${dir%%/*}" runs
check 'run.json says done' same "$(state_of "$dir")" done
check 'with the result' same "$(jq .result "$dir/run.json")" 1
check 'and the command to repeat it' same "$(jq -c .argv "$dir/run.json")" \
  '["cleave","run","empty.lua"]'
check 'memory of an empty run stays under 25 MB' \
  [ "$(jq .max_rss "$dir/run.json")" -lt 26214400 ]
check 'the script is kept as run' cmp empty.lua "$dir/script.lua"
check 'nothing temporary is left' same "$(find runs -name '*.tmp*')" ''
check 'numbers in the journal have no gap' \
  jq -s -e 'map(.seq) == [range(1; length + 1)]' "$dir/events.jsonl"

cat >order.lua <<'END'
print("one", 1)
cl.metric(3, { loss = 0.123456 })
cl.log("two")
print("three")
END
go run order.lua
check 'lines keep the order of the script' same "$(head -n 4 out)" "one	1
step 3  loss 0.1235
two
three"
check 'metrics have a file of their own' \
  same "$(jq -c '[.step, .loss]' "$(last_run)/metrics.jsonl")" '[3,0.123456]'

printf 'io.write("a\\27[31m\\255\\0z\\n")\n' >bytes.lua
go run bytes.lua
printf 'a\033[31m\377\000z\n' >want
head -n 1 out >got
check 'into a pipe text bytes go unchanged' cmp got want

echo 'print("before") error("boom")' >fails.lua
go run fails.lua
check 'a script error gives 1' same "$rc" 1
check 'what came before is printed' same "$(head -n 1 out)" before
check 'the error is a sentence with its place' has err 'fails.lua:1: boom'
check 'and not in the output' lacks out boom
check 'the run reads as failed' same "$(state_of "$(last_run)")" failed
check 'and says why' sh -c 'jq -r .why "$0/run.json" | grep -q ":[0-9]*: "' "$(last_run)"
echo 'x = = 1' >syntax.lua
go run syntax.lua
check 'a syntax error gives 1' same "$rc" 1
check 'with file and line' has err 'syntax.lua:1:'

# --- usage: 2, one sentence, nothing made --------------------------------------------
rm -rf runs
usage() {
  want=$1
  shift
  go "$@"
  check "2 for: cleave $*" same "$rc" 2
  check "and '$want'" has err "$want"
  check 'in one line' lines err 1
}
usage "No such file" run missing.lua
usage 'is a folder' run .
usage 'usage: cleave run' run
usage "did you mean 'run'" rnu
usage "did you mean 'threads'" run --thread 2 empty.lua
usage 'write name=value' run empty.lua epochs
usage 'write name=value' run empty.lua 2x=1
usage 'no amount of memory' run --mem lots empty.lua
usage 'unknown level' run --level pink empty.lua
usage "--isa" run --isa vax empty.lua
check 'no folder was made for any of them' [ ! -e runs ]

cat >settings.lua <<'END'
local c = cl.config { epochs = 8, rate = 0.1, name = "x", fast = false }
print(c.epochs, c.rate, c.name, c.fast)
END
go run settings.lua epochs=3 rate=1e-2 name=a=b fast=true
check 'settings are typed by their defaults' same "$(head -n 1 out)" '3	0.01	a=b	true'
check 'and noted in run.json' same "$(jq -c .settings.epochs "$(last_run)/run.json")" 3
before=$(ls runs | wc -l)
go run settings.lua epoch=3
check 'an unknown setting gives 2' same "$rc" 2
check 'and leaves no run behind' same "$(ls runs | wc -l)" "$before"
check 'and names the nearest' has err epochs
printf 'io.open(require("cleave").run_dir() .. "/mine.txt", "w"):close()\n' >writes.lua
go run writes.lua epochs=3
check 'a run that wrote a file stays' test -e "$(last_run)/mine.txt"
go run settings.lua epochs=many
check 'a setting of the wrong type gives 2' same "$rc" 2

# --- where runs go ---------------------------------------------------------------------
go run --runs elsewhere empty.lua
check '--runs chooses the folder' same "$(dirname "$(last_run)")" elsewhere
CLEAVE_RUNS=$scratch/env go run empty.lua
check '$CLEAVE_RUNS chooses the folder' same "$(dirname "$(last_run)")" "$scratch/env"
: >file
go run --runs file/sub empty.lua
check 'a run folder that cannot be made gives 3' same "$rc" 3
check 'in one sentence' lines err 1
check 'that names it' has err file
for i in 1 2 3 4; do "$cleave" run empty.lua >"out$i" 2>/dev/null & done
wait
check 'runs started at once have folders of their own' \
  same "$(cat out1 out2 out3 out4 | sort -u | wc -l | tr -d ' ')" 4

# --- nobody reads the output ---------------------------------------------------------------
echo 'for i = 1, 20000 do print(i, ("x"):rep(100)) end' >much.lua
"$cleave" run --runs closed much.lua 2>err | head -n 1 >out
check 'a closed pipe does not end the run' within 20 sh -c \
  '[ "$(jq -r .state closed/*/run.json)" = done ]'
check 'and is no complaint' lines err 0

# --- progress --------------------------------------------------------------------------------
cat >slow.lua <<'END'
for i = 1, 12 do cl.progress(i, 12, "work") cl.sleep(0.15) end
END
go run slow.lua
check 'progress into a pipe is a few plain lines' \
  [ "$(grep -c 'work' err)" -ge 1 -a "$(grep -c 'work' err)" -le 3 ]
check 'the last says it all' has err '100%  12/12'
check 'without a carriage return' same "$(tr -cd '\r' <err | wc -c | tr -d ' ')" 0
check 'and none of it is output' lines out 1
plan_end
