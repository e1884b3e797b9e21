#!/bin/sh
# kill -9 at random moments of a run: the folder always reads, says crashed, and holds every
# metric line whose writing had been reported. $KILLS: how many times.
. "$(dirname "$0")/tap.inc"
kills=${KILLS:-10}

# After cl.metric has returned, the script says so in a file that no journal knows of.
cat >busy.lua <<'END_LUA'
local said = assert(io.open(cl.config { said = "said" }.said, "a"))
said:setvbuf("no")
for i = 1, 1e9 do
  cl.metric(i, { loss = 1 / i, long_name_of_a_metric = i })
  said:write(i .. "\n")
  if i % 10 == 0 then print("line " .. i) end
  if i % 50 == 0 then cl.show { { a = i, b = 2 } } end
  if i % 200 == 0 then cl.sleep(0.001) end
end
END_LUA
# one moment between 0 and 0.6 s after the start, spread evenly and not repeated
moment() { awk -v i="$1" 'BEGIN { printf "%.4f", (i * 0.61803398875) % 1 * 0.6 }'; }

# kernels of this test: a parent that dies while it starts one leaves it at work
kernels() {
  for p in $(pgrep -f -- '--kernel-run.*busy.lua'); do
    [ "$(readlink /proc/"$p"/cwd)" = "$scratch" ] && echo "$p"
  done
}
kill_all() {
  while k=$(kernels) && [ -n "$k" ]; do
    kill -KILL $k 2>/dev/null
    sleep 0.01
  done
}

broken=0
say() {
  broken=$((broken + 1))
  echo "# kill $i after $wait s ($who): $1"
}
torn=0
bare=0
i=0
while [ $i -lt "$kills" ]; do
  i=$((i + 1))
  rm -rf runs said
  wait=$(moment $i)
  "$cleave" run busy.lua >out 2>err </dev/null &
  parent=$!
  sleep "$wait"
  kernel=$(pgrep -P $parent 2>/dev/null)
  # the kernel alone; or both at once, so that nobody is left to mark the run
  if [ $((i % 2)) = 0 ]; then
    who=kernel
    kill -KILL ${kernel:-$parent} 2>/dev/null
  else
    who=both
    kill -KILL $parent $kernel 2>/dev/null
  fi
  wait $parent 2>/dev/null
  kill_all
  for d in runs/*/; do
    [ -d "$d" ] || continue # killed before the folder was made
    [ -s "$d/run.json" ] || bare=$((bare + 1))
    id=$(basename "$d")
    if [ -s "$d/run.json" ]; then
      "$cleave" runs state=crashed --columns state >list 2>&1 || say 'the list fails'
      grep -q crashed list || say "it is not crashed but $("$cleave" runs --columns state 2>&1)"
    fi
    "$cleave" runs show "$id" >shown 2>&1 || say "cannot be shown: $(tail -n 1 shown)"
    [ -s "$d/events.jsonl" ] || continue
    # every line is whole but perhaps the last
    jq -c . "$d/events.jsonl" >whole 2>/dev/null || torn=$((torn + 1))
    [ $(($(wc -l <"$d/events.jsonl") - $(wc -l <whole))) -le 0 ] || say 'lines in the middle are torn'
    [ -f said ] || continue
    last=$(grep -c . said)
    grep -F '"ev":"metric"' "$d/events.jsonl" | sed -n 's/.*"step":\([0-9]*\),.*/\1/p' >steps
    head -n "$last" steps | cmp -s - said ||
      say "metrics are missing: $last reported, $(wc -l <steps) in the journal"
    [ "$(wc -l <"$d/metrics.jsonl")" -ge "$last" ] || say 'metrics.jsonl lacks lines'
  done
done
check "$kills kills at random moments ($torn torn last lines, $bare without run.json yet)" \
  same "$broken" 0
check 'the last of them held many lines' [ "$(wc -l <steps)" -ge 10 ]
plan_end
