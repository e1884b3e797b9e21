#!/bin/sh
# The notebook inside a real multiplexer: editing, pasting, leaving and coming back in
# another size, a killed viewer, a killed kernel.
. "$(dirname "$0")/tap.inc"
command -v tmux >/dev/null || { echo '1..0 # skip no tmux'; exit 0; }
CLEAVE_RUNTIME_DIR=$scratch/rt
export CLEAVE_RUNTIME_DIR
mkdir -m 700 "$CLEAVE_RUNTIME_DIR"
opened=0
t() { tmux -f /dev/null -S "$scratch/tmux$opened" "$@"; }
leave() {
  t kill-server 2>/dev/null
  for s in book run dead; do "$cleave" kill $s >/dev/null 2>&1; done
  rm -rf "$scratch"
}
trap leave EXIT
# open COLUMNS ROWS ARGUMENTS...: in the only window; its end is a line "ENDED n"
open() {
  t kill-server 2>/dev/null
  opened=$((opened + 1)) # the old server may still be going
  c=$1 r=$2
  shift 2
  t new-session -d -x "$c" -y "$r" "TERM=screen-256color '$cleave' $*; echo ENDED \$?; sleep 60"
}
screen() { t capture-pane -p >shown && cat shown; }
sees() { within 10 sh -c "tmux -S '$scratch/tmux$opened' capture-pane -p | grep -qF -- '$1'" || { screen; return 1; }; }
keys() { t send-keys "$@"; }

cat >book.lua <<'L'
-- %% one
print("first " .. 20 + 1)
-- %% two
print("second")
L
open 80 24 book.lua
check 'a notebook opens' sees '?:keys'
keys r
check 'r runs a cell' sees 'first 21'
keys G b Enter
keys -l 'print(("tmux"):rep(3))'
keys F5
check 'a new cell is edited and run' sees 'tmuxtmuxtmux'
keys Escape
check 'Esc ends editing' sees 'CMD'
printf 'for i = 1, 2 do\n  print("pasted", i)\nend' | t load-buffer -
keys b Enter
check 'another cell' sees 'EDIT'
t paste-buffer -p
check 'a paste keeps its indentation' sees '        print("pasted", i)'
keys Escape && sees 'CMD' >/dev/null # else Escape and w are Alt-w
keys w
check 'w saves' sees 'saved book.lua'
check 'the file has the pasted text' within 5 grep -q '^  print("pasted", i)$' book.lua
keys ':' && keys -l 'set theme light' && keys Enter
keys q
check 'q leaves and says how to come back' sees 'cleave attach'
check 'with status 0' sees 'ENDED 0'
open 120 40 attach book
check 'attach shows everything in another size' sees 'tmuxtmuxtmux'
keys D

cat >run.lua <<'L'
-- %% counts
for i = 1, 40 do print("count " .. i); cl.sleep(0.05) end
-- %% later
print("the later cell " .. "ran")
L
open 80 24 run.lua
sees '?:keys' >/dev/null
keys R
check 'a cell runs' sees 'count 3'
t kill-server # the terminal is gone in the middle of it
open 100 30 attach run
check 'after a lost terminal the later cell runs' sees 'the later cell ran'
counts() {
  log=$(ls .cleave/run.lua/out-1.log) && seq -f 'count %g' 40 | diff - "$log"
}
check 'every line is there once, in order' counts
keys 2 z
check 'and shown' sees 'count 40'
keys D

echo 'x = 1' >dead.lua
open 80 24 dead.lua
sees '?:keys' >/dev/null
keys Enter && keys -l 'typed = 2 -- kept'
sees 'typed = 2' >/dev/null
pid=$("$cleave" ls | awk '$1 == "dead" { print $3 }')
kill -9 "$pid"
check 'a dead kernel is told with its reason' sees 'signal 9'
keys Escape
check 'what was typed is still there' sees 'typed = 2 -- kept'
keys Escape && sees 'CMD' >/dev/null
keys 0 0
check 'it is started again' sees 'new kernel'
keys r
check 'and runs' sees '[1]'
plan_end
