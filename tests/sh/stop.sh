#!/bin/sh
# How runs end early: interrupts, killed processes, hang-ups, a full disk.
. "$(dirname "$0")/tap.inc"

# start SCRIPT: runs it in the background; $parent is its process. A subshell would ignore
# SIGINT in the background, so the test asks for the default again.
start() {
  rm -rf runs
  python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$cleave" run "$1" >out 2>err </dev/null &
  parent=$!
  within 10 sh -c '[ -s runs/*/run.json ]' || echo "# the run did not start"
  kernel=$(jq .pid runs/*/run.json)
}
finish() {
  wait "$parent"
  rc=$?
}
gone() { ! kill -0 "$1" 2>/dev/null; }
whole_lines() { jq -c . "$1" >/dev/null; }
# The system may cut the one write that is under way when a process is killed, at a page's end;
# what is appended later begins on a line of its own, and readers leave the cut one out.
whole_lines_but_one() {
  [ "$(jq -cR 'fromjson?' "$1" | wc -l)" -ge $(($(wc -l <"$1") - 1)) ] && tail -n 1 "$1" | jq -e .ev >/dev/null
}

cat >loop.lua <<'END'
print("started")
while true do end
END
cat >pcalls.lua <<'END'
print("started")
while true do pcall(function() while true do end end) end
END
cat >coroutines.lua <<'END'
print("started")
local co = coroutine.wrap(function() while true do end end)
while true do pcall(co) end
END
cat >sleeps.lua <<'END'
print("started")
cl.sleep(60)
END
cat >forward.lua <<'END'
print("started")
cl.model.custom { input = 4, classes = 2, parameters = { w = { 2, 4 } },
                  forward = function() while true do end end }
END
for s in loop pcalls coroutines sleeps forward; do
  start $s.lua
  within 5 grep -q started out
  kill -INT "$parent"
  before=$(date +%s)
  finish
  check "SIGINT ends $s.lua with 130" same "$rc" 130
  check 'soon' [ $(($(date +%s) - before)) -le 2 ]
  check 'the run reads as stopped' same "$(state_of runs/*)" stopped
  check 'its journal ends in that state' \
    same "$(tail -n 1 runs/*/events.jsonl | jq -r .state)" stopped
  check 'what it printed is there' same "$(head -n 1 out)" started
  check 'and the last line is the folder' same "$(last_run)" "$(echo runs/*)"
done
codes=
for s in .005 .01 .015 .02 .025 .03 .04 .05 .07 .1; do
  timeout --preserve-status -s INT $s "$cleave" run sleeps.lua >out 2>err
  codes="$codes [$?]"
done
echo "$codes" >codes
check 'an interrupt while a run starts is no error of the script' lacks codes '[1]'
check 'nor a crash' lacks codes '[3]'
start sleeps.lua
kill -TERM "$parent"
finish
check 'SIGTERM does the same' same "$rc $(state_of runs/*)" '130 stopped'

# an interrupt that comes before the kernel can take it is not lost
early() {
  for pause in 0 0.005 0.01 0.02 0.03; do
    rm -rf runs
    python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$cleave" run sleeps.lua >out 2>err </dev/null &
    parent=$!
    within 10 sh -c 'ls runs/*/script.lua'
    sleep $pause
    kill -INT "$parent"
    finish
    same "$rc $(state_of runs/*)" '130 stopped' || { cat err; return 1; }
  done
}
check 'an early SIGINT stops too' early

# --- a kernel that does not react --------------------------------------------------------
cat >stuck.lua <<'END'
print("started")
local n = 40
return (("a"):rep(n)):find(("a?"):rep(n) .. ("a"):rep(n) .. "b")
END
start stuck.lua
within 5 grep -q started out
sleep 0.3
kill -INT "$parent"
check 'after 5 s without reaction a kill is offered' within 9 grep -q 'Ctrl-C again' err
kill -INT "$parent"
finish
check 'the next SIGINT kills' same "$rc" 130
check 'and the run says so' same "$(state_of runs/*)" crashed
check 'with everything it printed' same "$(head -n 1 out)" started

# --- killed processes -------------------------------------------------------------------
cat >busy.lua <<'END'
for i = 1, 1e9 do
  print("line", i)
  if i % 7 == 0 then cl.metric(i, { loss = 1 / i }) end
end
END
start busy.lua
within 5 grep -q 'line.*500' out
kill -KILL "$kernel"
finish
check 'kill -9 of the kernel gives 3' same "$rc" 3
check 'the parent says why in one line' lines err 1
check 'naming the signal' has err 'signal 9 (Killed)'
check 'what it usually means' has err memory
check 'and the folder' has err "$(echo runs/*)"
check 'the run reads as crashed' same "$(state_of runs/*)" crashed
check 'with the reason' sh -c 'jq -r .why runs/*/run.json | grep -q Killed'
check 'the journal has whole lines, but one at most' whole_lines_but_one runs/*/events.jsonl
grep '^line' out >printed
check 'every line of the log was printed' cmp printed runs/*/out-1.log
check 'the last line is the folder' same "$(last_run)" "$(echo runs/*)"

start busy.lua
kill -ABRT "$kernel"
finish
check 'an abort gives 3' same "$rc" 3
check 'and is named' has err 'Aborted'

cat >goes_on.lua <<'END'
print("started")
cl.sleep(1)
print("to the end")
END
for signal in KILL HUP; do
  start goes_on.lua
  kill -$signal "$parent"
  finish 2>/dev/null
  check "SIG$signal of the parent leaves the kernel at work" kill -0 "$kernel"
  check 'and the run goes on to its end' within 10 sh -c \
    '[ "$(jq -r .state runs/*/run.json)" = done ]'
  check 'with all its text' has "$(echo runs/*/out-1.log)" 'to the end'
done

# --- quiet while nothing happens -----------------------------------------------------------
cat >quiet.lua <<'END'
cl.sleep(3)
END
switches() {
  cat /proc/"$kernel"/task/*/status | awk '/^voluntary_ctxt/ { s += $2 } END { print s }'
}
start quiet.lua
sleep 0.5
a=$(switches)
sleep 1.5
b=$(switches)
check "a sleeping kernel makes no wake-ups (made $((b - a)) in 1.5 s)" [ $((b - a)) -le 2 ]
finish

# --- a disk that is full ---------------------------------------------------------------------
cat >writes.lua <<'END'
for i = 1, 1e6 do cl.metric(i, { loss = 1 / i }) end
END
rm -rf runs
(ulimit -f 16 && exec "$cleave" run writes.lua >out 2>err </dev/null)
rc=$?
check 'a file-size limit gives 3' same "$rc" 3
check 'in one sentence' lines err 1
check 'that names the file' has err events.jsonl
check 'the journal has whole lines only' whole_lines runs/*/events.jsonl
check 'and no temporary is left' same "$(find runs -name '*.tmp*')" ''
echo 'while true do print(("x"):rep(1000)) end' >prints.lua
rm -rf runs
(ulimit -f 16 && exec "$cleave" run prints.lua >/dev/null 2>err </dev/null)
rc=$?
check 'too much text for the disk gives 3' same "$rc" 3
check 'and names the log' has err out-1.log
plan_end
