#!/bin/sh
# Figures that a running cell draws again: the panes stay at the same image of the same
# series while it goes on, and steps back are still there when it is done.
. "$(dirname "$0")/tap.inc"
CLEAVE_RUNTIME_DIR=$scratch/rt
export CLEAVE_RUNTIME_DIR
mkdir -m 700 "$CLEAVE_RUNTIME_DIR"
leave() {
  "$cleave" kill live >/dev/null 2>&1
  rm -rf "$scratch"
}
trap leave EXIT
play() {
  cat >keys
  "$cleave" ui --script keys --rows 24 --cols 80 --level mono --ascii live.lua >out 2>err || { cat err out; return 1; }
}
shows() { grep -qF -- "$1" out || { cat out; return 1; }; }

cat >live.lua <<'L'
-- %% two series and a set of components, drawn in turn
local w = cl.rng(1):normal({ 6, 14, 14 })
for step = 1, 12 do
  w = w * 0.9
  cl.show(cl.images(w, { title = "directions " .. step }), "directions")
  cl.show(cl.heatmap(cl.rng(step):uniform({ 4, 6 }), { title = "importance " .. step }), "importance")
  cl.show(cl.components { title = "parts " .. step, { images = w },
    metrics = { { name = "size", values = { 1, 2, 3, 4, 5, 6 } } } }, "parts")
  cl.sleep(0.3)
end
L
check 'a series is followed, the other one does not disturb' play <<'K'
keys r4
wait importance
keys K
wait directions 4
keys l<Enter>
wait directions 9
dump
keys 8
wait parts 10
keys ll
wait parts 12
wait idle
dump
keys ,,
dump
keys 4
wait directions 12
keys ,,,
dump
K
check 'at the same image' shows 'directions 9  2 of 6'
check 'a set of components too' shows 'parts 12  3/6 by size'
check 'and its steps before' shows 'parts 10  3/6 by size'
check 'as those of the images' shows 'directions 9  2 of 6  figure 17/24'
plan_end
