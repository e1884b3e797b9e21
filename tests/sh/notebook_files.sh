#!/bin/sh
# The notebook's file from inside: export, copies, reload; a log that a later viewer reads
# in the order of the session; pictures of a run that goes on elsewhere.
. "$(dirname "$0")/tap.inc"
CLEAVE_RUNTIME_DIR=$scratch/rt
export CLEAVE_RUNTIME_DIR
mkdir -m 700 "$CLEAVE_RUNTIME_DIR"
mkdir there

# ui NOTEBOOK <script: the screen goes to `screen`
ui() {
  cat >keys.script
  "$cleave" ui --script keys.script --rows 24 --cols 100 --level mono --ascii "$1" >screen 2>ui.err \
    || { cat ui.err; return 1; }
}
has() { grep -q -- "$2" "$1" || { sed -n 1,60p "$1"; return 1; }; }
lacks() { ! has "$@" >/dev/null || { sed -n 1,60p "$1"; return 1; }; }

printf -- '-- %%%% one\nprint("printed here")\n\n-- %%%% two\n6 * 7\n' >book.lua
"$cleave" book.lua </dev/null >started 2>&1
ui book.lua <<'END'
keys r <F5>
wait idle
keys :
type export there/book.md
keys <Enter>
wait wrote
keys :
type export there/book.md
keys <Enter>
wait is there already
keys :
type export! there/book.html
keys <Enter>
wait book.html
keys :
type export there/book.doc
keys <Enter>
wait ends in no format
keys :
type save there/copy.lua
keys <Enter>
wait a copy is in
dump
END
check 'a copy under a path of the viewer' cmp book.lua there/copy.lua
check 'Markdown with outputs' has there/book.md 'printed here'
check 'and values' has there/book.md '42'
check 'over a file that is there, when told to' has there/book.html 'printed here'
ui book.lua <<'END'
keys g b
wait Enter edits the new cell
keys :
type reload
keys <Enter>
wait u takes it back
dump
keys :
type reload
keys <Enter>
wait already
keys u
wait book.lua [+]
dump
END
check 'reload drops what was not saved' has screen 'cell 1/2\|cell 2/2'
check 'and is undone' has screen 'cell ./3'
"$cleave" kill book >/dev/null 2>&1

cat >flood.lua <<'END'
-- %%
for i = 1, 40000 do print("line", i, ("x"):rep(80)) end

-- %%
"behind the flood"

-- %%
error("at the end", 0)

-- %%
while true do end
END
"$cleave" flood.lua </dev/null >started 2>&1
ui flood.lua <<'END'
keys r r r
wait idle
END
ui flood.lua <<'END'
keys G <F5>
wait busy
keys <C-c>
wait idle
END
# a viewer that comes later reads three megabytes of text and what was said behind it
ui flood.lua <<'END'
keys 2 z
wait interrupted
dump
END
check 'a later viewer has the log in its order' sh -c "grep -A4 'line *40000 ' screen | tr -d '\n' |
  grep -q 'line *40000 .*behind the flood.*at the end.*interrupted'"
"$cleave" kill flood >/dev/null 2>&1

# a run elsewhere: its pictures come while it makes them
cat >draws.lua <<'END'
local cl = require "cleave"
for i = 1, 150 do
  cl.metric(i, { strange_loss = 1 / i, drawn = i > 20 and 7777 or 0 })
  if i % 10 == 0 then cl.show(cl.images(cl.ones { 1, 4, 4 }, { title = "picture " .. i }), "p") end
  cl.sleep(0.05)
end
END
"$cleave" run draws.lua >draws.out 2>&1 &
draws=$!
printf -- '-- %%%%\n1\n' >watch.lua
"$cleave" watch.lua </dev/null >started 2>&1
ui watch.lua <<'END'
keys 3
wait running
wait 7777
dump
keys g <Enter>
wait in the images pane
keys <Esc> 4
wait picture 150
dump
END
check 'what a live run measures stands first' has screen 'seconds *step *\(drawn\|strange_loss\)'
check 'with its time so far' has screen 'draws *running *00:0'
check 'its pictures come by themselves' has screen "picture 150"
wait "$draws"
"$cleave" kill watch >/dev/null 2>&1
plan_end
