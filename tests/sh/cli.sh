#!/bin/sh
# Commands other than run.
. "$(dirname "$0")/tap.inc"
CLEAVE_RUNTIME_DIR=$scratch/rt
export CLEAVE_RUNTIME_DIR

go --version
check '--version gives 0' same "$rc" 0
check 'and a version' grep -qE '^cleave [0-9]+\.[0-9]+\.[0-9]+$' out
cp out version
go version
check 'version says the same' cmp out version
CLEAVE_RUNTIME_DIR=$scratch/run
export CLEAVE_RUNTIME_DIR
go
check 'no command opens a notebook, a line at a time here' same "$rc $(cat out err)" '0 '
go ls
check 'which is a session, of the tour where there is no notebook yet' has out tour
go kill tour
check 'that can be ended' same "$rc" 0
go --help
check '--help gives 0' same "$rc" 0
for c in $(sed -n 's/^  cleave \([a-z]*\) .*/\1/p' out); do
  go "$c" --help
  check "$c --help gives 0" same "$rc" 0
  check 'and its usage' has out "usage: cleave $c"
  check 'without an error' lines err 0
  check 'the manual page has it' has "$root/man/cleave.1" "Ic $c"
  for o in $(sed -n 's/^  --\([a-z]*\) .*/\1/p' out); do
    check "and its option --$o" has "$root/man/cleave.1" "Fl Fl $o"
  done
done
go help
check 'help lists commands and names' same "$rc" 0
check 'commands' has out 'cleave run'
go help run
check 'help knows commands' has out 'usage: cleave run'
go help no_such_name_at_all
check 'help of an unknown name gives 2' same "$rc" 2
check 'in one sentence' lines err 1
go help
check 'help lists the scripts' has out 'cleave help NAME tells about one'
go help two_bank
check 'and tells what one asks' has out 'Can the weights of a bilinear classifier be read'
check 'how it is run' has out 'scripts/two_bank.lua [name=value ...]'
check 'and its settings' has out 'settings, given as name=value'
printf -- '--- Mine.\n-- Cost  none\nlocal c = cl.config { a = 1, b = { 2 } }\nprint(c.a)\n' >mine.lua
go run mine.lua --help
check 'run --help tells of a script of the user' has out 'Mine.'
check 'without running it' lacks out 'runs/'
printf -- '--- Hers \033]52;c;aGk=\007.\n-- cl.config takes { nothing }\nlocal c = cl.config { seen = 1 }\n' >hers.lua
go help hers.lua
check 'nothing of it steers the terminal' has out 'Hers ^[]52;c;aGk=^G.'
check 'settings are of the code, not of a comment' sh -c 'grep -A1 ^settings out | grep -q "seen = 1"'
go help nothing.lua
check 'a script that is not there gives 2' same "$rc" 2
go run two_bank.lua
check 'a bundled script is found by its name' has err 'scripts/two_bank.lua'
go version --nothing
check 'an unknown option gives 2' same "$rc" 2
go doctor extra
check 'an operand too many gives 2' same "$rc" 2
go doctor
check 'doctor finds everything right' same "$rc" 0
check 'and lists each check' [ "$(grep -c '^ok ' out)" -ge 8 ]
go doctor --isa baseline --threads 1 --mem 1G
check 'doctor takes the options of the core' has out 'baseline, 1 threads, memory budget 1.0 GiB'
echo 'return 1' >one.lua
for e in CLEAVE_ISA=foo CLEAVE_THREADS=abc CLEAVE_THREADS=0 CLEAVE_THREADS=2x CLEAVE_MEM=much; do
  export "$e"
  go run --runs runs one.lua
  check "$e is refused" same "$rc" 2
  check 'in one sentence that names the variable' grep -q "^cleave: ${e%=*} '${e#*=}'" err
  go one.lua
  check "$e is refused in a session" has err "${e%=*} '${e#*=}'"
  unset "${e%=*}"
done
go --kernel-run runs one.lua novalue
check 'a setting without a value is refused by the kernel too' same "$rc" 2
echo 'cl.save("/nonexistent/x.safetensors", { a = cl.eye(2) })' >save.lua
go run --runs runs save.lua
check 'a file that cannot be made is called by its own name' \
  has err "cannot create '/nonexistent/x.safetensors': No such"
echo 'cl.log(("l"):rep(2e6)) return { text = ("x"):rep(1e8), small = 1, ["k" .. ("k"):rep(1e7)] = 2 }' >big.lua
go run --runs runs big.lua
check 'a result of 100 MB is cut' same "$rc" 0
check 'its record can be read' same "$(jq -c '[.state, .result.small]' "$(last_run)/run.json")" '["done",1]'
check 'and says what was cut' grep -q 'cut: 100000000 bytes in all' "$(last_run)/run.json"
check 'as does a long line of the log' grep -q 'cut: 2000000 bytes in all' "$(last_run)/events.jsonl"
echo 'error(("e"):rep(1e8))' >big.lua
go run --runs runs big.lua
check 'an error of 100 MB is an error' same "$rc" 1
check 'and is cut' [ "$(wc -c <err)" -lt 2000000 ]
"$cleave" --version >/dev/full 2>err
check 'output that cannot be written gives 3' same "$?" 3
plan_end
