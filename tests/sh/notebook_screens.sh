#!/bin/sh
# Screens of the notebook against tests/golden/ui: scripts of keys at two sizes, in ASCII
# without colours and in 256 colours. UPDATE=1 writes them anew.
. "$(dirname "$0")/tap.inc"
golden=$root/tests/golden/ui
CLEAVE_RUNTIME_DIR=$scratch/rt
CLEAVE_RUNS=$scratch/runs
export CLEAVE_RUNTIME_DIR CLEAVE_RUNS
mkdir -m 700 "$CLEAVE_RUNTIME_DIR"

# play SCRIPT ROWS COLS LEVEL [--ascii]
play() {
  script=$1 rows=$2 cols=$3 level=$4
  shift 4
  case ${1:-} in --ascii) screen=$script-${rows}x$cols-ascii ;; *) screen=$script-${rows}x$cols-$level ;; esac
  case $script in parts | colours) book=$script ;; *) book=study ;; esac
  mkdir "$screen" && cp "$golden/$book.lua" "$screen" && cp -r "$golden/runs" "$screen"
  # the kernel's own runs, whose names are random, go elsewhere than those that are shown
  (cd "$screen" && "$cleave" study.lua </dev/null >"$scratch/started" 2>&1)
  (cd "$screen" && CLEAVE_RUNS=runs "$cleave" ui --script "$golden/$script.script" --rows "$rows" \
    --cols "$cols" --level "$level" "$@" $book.lua >"$scratch/$screen.txt" 2>"$scratch/$screen.err")
  rc=$?
  "$cleave" kill $book >killed 2>&1
  [ "$rc" = 0 ] || { cat "$scratch/$screen.err"; return 1; }
  if [ -n "${UPDATE:-}" ]; then cp "$scratch/$screen.txt" "$golden/"; fi
  diff "$golden/$screen.txt" "$scratch/$screen.txt"
}
for script in panes edit parts runs; do
  check "$script, 80 x 24, ASCII" play $script 24 80 mono --ascii
  check "$script, 80 x 24, 256 colours" play $script 24 80 256
  check "$script, 160 x 48, 256 colours" play $script 48 160 256
  check "$script, 160 x 48, no colours" play $script 48 160 mono
done
for script in panes parts runs; do
  check "$script, 80 x 24, no colours" play $script 24 80 mono
  check "$script, 160 x 48, ASCII" play $script 48 160 mono --ascii
done
check "colours, 80 x 24, 256 colours" play colours 24 80 256
check "colours, 80 x 24, 8 colours" play colours 24 80 ansi
check "colours, 80 x 24, no colours" play colours 24 80 mono
check "colours, 80 x 24, ASCII" play colours 24 80 256 --ascii
check "colours, 160 x 48, 24 bits" play colours 48 160 true
plan_end
