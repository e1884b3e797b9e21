#!/bin/sh
# cleave clean: what no cell shows goes, what is shown stays.
. "$(dirname "$0")/tap.inc"
CLEAVE_RUNTIME_DIR=$scratch/rt
export CLEAVE_RUNTIME_DIR
mkdir -m 700 "$CLEAVE_RUNTIME_DIR"
same() { [ "$1" = "$2" ] || { printf 'got  %s\nwant %s\n' "$1" "$2"; return 1; }; }
says() { want=$1; shift; "$@" >said 2>&1; grep -q -- "$want" said || { cat said; return 1; }; }

cat >book.lua <<'END'
-- %%
n = (n or 0) + 1
cl.show(cl.images(cl.full({ 1, 4, 4 }, n), { title = "drawing " .. n }), "drawing")

-- %%
print("this cell goes")
END
"$cleave" book.lua </dev/null >started 2>&1
cat >keys.script <<'END'
keys <F5>
wait idle
keys <F5>
wait idle
keys r
wait idle
keys r
wait idle
keys g j dd
wait idle
keys w
wait saved
END
check 'a notebook that drew three times' "$cleave" ui --script keys.script --level mono book.lua
check 'a live session is left alone' says 'lives; cleave kill ends it first' "$cleave" clean book.lua
"$cleave" kill book >/dev/null 2>&1
all=$(ls .cleave/book.lua/figures | wc -l)
touch .cleave/book.lua/events-12.jsonl .cleave/book.lua/figures/mine.png .cleave/book.lua/events-x.jsonl
check 'counted first' says "would take away $((all - 2 + 1)) files of figures, 1 old journal, 1 text" \
  "$cleave" clean --count book.lua
check 'and nothing went' same "$(ls .cleave/book.lua/figures | wc -l)" $((all + 1))
check 'then taken away' says 'took away' "$cleave" clean book.lua
check 'the last drawing stays' same "$(ls .cleave/book.lua/figures | tr '\n' ' ')" '003-drawing.f32 003-drawing.png '
check 'as does what is no journal' test -e .cleave/book.lua/events-x.jsonl
check 'nothing is left to take' says 'everything there is shown' "$cleave" clean book.lua
check 'the outputs are as before' says 'book_files/' sh -c '"$0" export book.lua -o book.md && cat book.md' "$cleave"
# what looks alike is not taken, nor anything where the journal does not tell what is shown
s=.cleave/book.lua
touch "$s/out-9 of mine.log" "$s/out-9x.log" "$s/out-09.log" "$s/events-+5.jsonl" "$s/out-9.3.log"
check 'names that only look alike' says 'took away 1 text, ' "$cleave" clean book.lua
check 'stay' same "$(ls "$s" | grep -c 'mine\|9x\|-09\|+5')" 4
touch "$s/events-9.jsonl"
mv "$s/events.jsonl" kept
: >"$s/events.jsonl"
check 'a journal that tells nothing' says 'tells of no cells, so nothing is taken away' "$cleave" clean book.lua
rm "$s/events.jsonl"
mkdir "$s/events.jsonl"
check 'or cannot be read' says 'events.jsonl' "$cleave" clean book.lua
rmdir "$s/events.jsonl"
check 'or is not there' says 'tells of no cells' "$cleave" clean book.lua
check 'and nothing went' test -e "$s/figures/003-drawing.png" -a -e "$s/events-9.jsonl"
mv kept "$s/events.jsonl"
mkdir folder.lua
"$cleave" clean folder.lua >said 2>&1
check 'a folder is no notebook' same "$?" 2
check 'a notebook that was never open' says "has no session folder" "$cleave" clean other.lua
plan_end
