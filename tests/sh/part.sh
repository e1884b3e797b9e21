#!/bin/sh
# cl.run: runs that a script or a cell begins itself.
. "$(dirname "$0")/tap.inc"
CLEAVE_RUNTIME_DIR=$scratch/rt
export CLEAVE_RUNTIME_DIR
mkdir -m 700 "$CLEAVE_RUNTIME_DIR"
same() { [ "$1" = "$2" ] || { printf 'got  %s\nwant %s\n' "$1" "$2"; return 1; }; }

cat >study.lua <<'END'
local cl = require "cleave"
local cfg = cl.config { steps = 2, fail = false }
for _, width in ipairs { 8, 16 } do
  local dir = cl.run { name = "width " .. width, width = width, wide = width > 8 }
  print("into " .. dir)
  for i = 1, cfg.steps do cl.metric(i, { loss = width / i }) end
  cl.show(cl.images(cl.ones { 1, 4, 4 }, { title = "w" .. width }), "p")
end
if cfg.fail then error("on purpose") end
return { total = 7 }
END
"$cleave" run study.lua steps=4 >out 2>&1
check 'a script that begins runs is done' same "$?" 0
list() { "$cleave" runs --csv --columns "name,state,$1" | tail -n +2 | tr -d '\r' | tr '\n' ' '; }
check 'each is a row with its settings beside the whole' same "$(list steps,width,wide,loss,total)" \
  'study,done,4,,,4,7 width-8,done,4,8,false,2, width-16,done,4,16,true,4, '
check 'its figures and metrics are its own' same \
  "$(ls runs/*width-8*/figures/*.png | wc -l) $(wc -l <"$(ls runs/*width-8*/metrics.jsonl)") $(wc -l <"$(ls runs/*study*/metrics.jsonl)")" '1 4 8'
check 'its folder was told' grep -q "into .*-width-16-" out
check 'it names the whole' grep -q '"part_of": "[0-9-]*-study-' runs/*width-16*/run.json
rm -r runs
"$cleave" run study.lua fail=true >out 2>&1
check 'an error is the last one'\''s' same "$(list steps,width,wide,loss)" \
  'study,failed,2,,,8 width-8,done,2,8,false,4 width-16,failed,2,16,true,8 '
rm -r runs
printf 'cl.run { name = "own", width = 8 }\ncl.config { lr = 2 }\n' >later.lua
"$cleave" run later.lua >out 2>&1
check 'cl.config behind it adds its settings' same "$(list width,lr)" 'later,done,,2 own,done,8,2 '
printf 'cl.run { 3 }\n' >bad.lua
"$cleave" run bad.lua >out 2>&1
check 'a setting needs a name' grep -q 'settings have names' out
printf 'cl.run { layers = {} }\n' >bad.lua
"$cleave" run bad.lua >out 2>&1
check 'and a plain value' grep -q "'layers' must be a number, a text or a boolean, not a table" out
rm -r runs

cat >book.lua <<'END'
-- %%
for _, width in ipairs { 8, 16 } do
  cl.run { name = "width " .. width, width = width }
  for i = 1, 2 do cl.metric(i, { loss = width / i }) end
end

-- %%
cl.metric(3, { loss = 1 })

-- %%
print("measures nothing")

-- %%
cl.metric(1, { loss = 5 })
END
"$cleave" book.lua </dev/null >started 2>&1
cat >keys.script <<'END'
keys r r
wait idle
keys r
wait idle
keys <F5>
wait idle
END
check 'a notebook does the same' "$cleave" ui --script keys.script --level mono book.lua
check 'a row a run; the queue ends the last' same "$(list width,loss)" 'width-8,done,8,4 width-16,done,16,1 book,done,,5 '
"$cleave" kill book >/dev/null 2>&1
plan_end
