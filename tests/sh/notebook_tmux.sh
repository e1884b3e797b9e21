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
  for s in book run dead parts; do "$cleave" kill $s >/dev/null 2>&1; done
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
# a terminal that sends the usual keys under the name of one that has none of them
t kill-server 2>/dev/null
opened=$((opened + 1))
t new-session -d -x 80 -y 24 "TERM=vt100 '$cleave' attach book; sleep 60"
check 'a plainer name of the terminal' sees 'tmuxtmuxtmux'
keys G b Enter
keys -l 'print("run by " .. "F5")'
keys F5
check 'its function keys work' sees 'run by F5'
keys C-u
keys -l 'ab'
keys Home && keys -l 'print("' && keys End && keys -l 'cd")' && keys F5
check 'and Home and End' sees 'abcd'
keys Escape && sees 'CMD' >/dev/null
keys d d
keys D
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

cat >parts.lua <<'L'
-- %% parts
local w = cl.rng(1):normal({ 9, 2, 14, 14 })
cl.show(cl.components { title = "nine parts", { images = w }, metrics = { { name = "size", values = { 1, 2, 3, 4, 5, 6, 7, 8, 9 } } } })
cl.control("dial", { { name = "turn" } }, function(v) return cl.plot({ v.turn, 1 }, { title = "at " .. v.turn }) end)
cl.show(cl.images(w:select(2, 1), { title = "first" }), "one")
cl.show(cl.images(w:select(2, 2), { title = "second" }), "two")
L
open 80 24 parts.lua
sees '?:keys' >/dev/null
keys r
check 'panes that have something get a tab' sees '9:dial'
keys 8
check '8 shows the components by their first metric' sees '1/9 by size'
keys Right Right Enter
check 'Enter tells all about one' sees '#7'
keys -
check 'the order turns round' sees '1/9 by size, ris'
keys 9 Right Right Right
check 'arrow keys turn a control' sees 'at 0.3'
keys =
check 'and back' sees 'turn < 0 >'
keys 4 L
check 'two galleries side by side' sees 'first  1-5 of 9  figure 1/2  linked'
keys ]
check 'page together' sees 'first  6-9 of 9  figure 1/2  linked'
keys D
plan_end
