#!/bin/sh
# Displays with controls, from the key to the picture: what comes while a cell runs, what
# goes wrong, how much room it takes, what is exported.
. "$(dirname "$0")/tap.inc"
CLEAVE_RUNTIME_DIR=$scratch/rt
export CLEAVE_RUNTIME_DIR
mkdir -m 700 "$CLEAVE_RUNTIME_DIR"
leave() {
  "$cleave" kill dial >/dev/null 2>&1
  rm -rf "$scratch"
}
trap leave EXIT
# play: the script is read from the standard input
play() {
  cat >keys
  "$cleave" ui --script keys --rows 24 --cols 80 --level mono --ascii dial.lua >out 2>err || { cat err out; return 1; }
}
shows() { grep -qF -- "$1" out || { cat out; return 1; }; }
lacks() { ! grep -qF -- "$1" out || { cat out; return 1; }; }

cat >dial.lua <<'L'
-- %% the display
calls = 0
cl.control("dial", { { name = "turn", step = 0.25 }, { name = "way", choices = { "left", "right" } } },
  function(v, change)
    calls = calls + 1
    if v.turn < -1 then while true do end end
    return cl.images(cl.tensor { { v.turn, 1 }, { 2, v.way == "left" and 3 or -3 } }, { title = "at " .. v.turn })
  end)
-- %% takes a while
cl.sleep(1.5)
-- %% how often
"called " .. calls
L
check 'three keys turn it three steps' play <<'K'
keys r
wait idle
keys 9lll
wait at 0.75
wait idle
dump
K
check 'the value is beside its name' shows 'turn < 0.75 >'
check 'a choice is a control' play <<'K'
keys 9jl
wait < right >
wait idle
dump
K
check 'the other control kept its value' shows 'turn   0.75'

twenty() { for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo "keys l"; done; }
check 'keys while a cell runs wait for its end, and say so' play <<K
keys gjr
keys 9
$(twenty)
wait waits for the running cell
wait at 5.75
wait idle
K
check 'all of them are one call' play <<'K'
keys 1gjjr
wait idle
wait called
dump
K
# first drawing, three steps, the choice, and the twenty together
shows_few() {
  calls=$(sed -n 's/.*called \([0-9]*\).*/\1/p' out | tail -1)
  [ "$calls" -ge 4 ] && [ "$calls" -le 6 ] || { echo "called '$calls' times"; return 1; }
}
check 'a held key never runs behind' shows_few

check 'a function that does not end can be stopped' play <<'K'
keys 9=
wait at 0
wait idle
keys H
wait < -2.5 >
keys ii
wait interrupted
wait idle
dump
keys l
wait at 0.25
wait idle
dump
K
check 'the value is that of the picture again' shows 'turn < 0.25 >'

check 'many turns' play <<K
keys 9
$(twenty)
$(twenty)
wait at 10.25
wait idle
K
few_blobs() {
  blobs=$(find .cleave/dial.lua/figures -name 'display*.f32' | wc -l)
  [ "$blobs" -le 8 ] || { ls .cleave/dial.lua/figures; return 1; }
}
check 'take the room of eight drawings' few_blobs
check 'the document is saved' play <<'K'
keys w
wait saved
K
check 'and exported' "$cleave" export dial.lua -o dial.md
check 'with the picture as it is now' grep -q '\*\*at 10.25\*\*' dial.md
once() { [ "$(grep -c '!\[' dial.md)" = 1 ] || { cat dial.md; return 1; }; }
check 'once' once

check 'after a restart' play <<'K'
keys 00y
wait idle
keys 9l
wait run its cell again
dump
K
check 'the display says what to do' shows "no display 'dial' any more: run its cell again"
check 'without a viewer it is drawn once' "$cleave" run dial.lua
plan_end
