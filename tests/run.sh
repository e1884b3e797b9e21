#!/bin/sh
# Runs every test and counts: unit programs ($BUILD/unit, cmocka writing TAP), Lua tests
# (tests/lua/*.lua through `cleave run`), whole-program tests (tests/sh/*.sh). Two at a time, each
# with a time limit, logs in $BUILD/test. The last line is "N passed, N failed".
# tests/run.sh [PATTERN]: only the jobs whose name contains PATTERN.
set -u
cd "$(dirname "$0")/.." || exit 1
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
case ${BUILD:=build} in
/*) ;;
*) BUILD=$(pwd)/$BUILD ;;
esac
export BUILD CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8
export LSAN_OPTIONS="${LSAN_OPTIONS:-suppressions=$(pwd)/tests/lsan.supp:print_suppressions=0}"
logs=$BUILD/test
limit=${TEST_SECONDS:-300}

# One job: its TAP lines go to a log; what is wrong with the log as a whole becomes a line too.
if [ "${1:-}" = --job ]; then
  name=$2
  log=$logs/$(echo "$name" | tr / -).tap
  case $name in
  unit/*) set -- "$BUILD/$name" ;;
  sh/*) set -- sh "tests/$name.sh" ;;
  lua/*) set -- "$BUILD/cleave" run --runs "$logs/runs" tests/lua/run.lua "file=tests/$name.lua" ;;
  esac
  from=$(date +%s)
  timeout -k 5 "$limit" "$@" >"$log" 2>&1 </dev/null
  rc=$?
  secs=$(($(date +%s) - from))
  ok=$(grep -c '^ok ' "$log")
  bad=$(grep -c '^not ok ' "$log")
  plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' "$log" | awk '{ s += $1 } END { print s + 0 }')
  why=''
  [ "$rc" = 124 ] && why="took longer than $limit s"
  [ -z "$why" ] && [ "$plan" != $((ok + bad)) ] && why="planned $plan tests, ran $((ok + bad))"
  [ -z "$why" ] && [ "$bad" = 0 ] && [ "$rc" != 0 ] && why="ended with status $rc"
  [ -z "$why" ] && [ $((ok + bad)) = 0 ] && why='ran no test'
  if [ -n "$why" ]; then
    echo "not ok - $name as a whole: $why" >>"$log"
    bad=$((bad + 1))
  fi
  printf '%-28s %4d passed %3d failed %4d s\n' "$name" "$ok" "$bad" "$secs"
  [ "$bad" = 0 ] || {
    grep -A 12 '^not ok ' "$log" | head -60 | sed 's/^/    /'
    [ -z "$why" ] || tail -n 15 "$log" | sed 's/^/    /'
  }
  exit 0
fi

rm -rf "$logs"
mkdir -p "$logs" || exit 1
{
  # the long ones first, so that the two lanes end together
  for f in tests/sh/*.sh; do echo "sh/$(basename "$f" .sh)"; done
  for f in tests/unit/*/*.c; do
    f=${f#tests/}
    echo "${f%.c}"
  done
  for f in tests/lua/*.lua; do
    case $f in */run.lua | *'*'*) ;; *) echo "lua/$(basename "$f" .lua)" ;; esac
  done
} | grep -F -- "${1:-}" >"$logs/jobs"
xargs -P 2 -n 1 sh tests/run.sh --job <"$logs/jobs"

skipped=$(cat "$logs"/*.tap | grep -c '^ok .*# *[Ss][Kk][Ii][Pp]')
passed=$(($(cat "$logs"/*.tap | grep -c '^ok ') - skipped))
failed=$(cat "$logs"/*.tap | grep -c '^not ok ')
jobs=$(wc -l <"$logs/jobs")
[ "$(ls "$logs"/*.tap | wc -l)" = "$jobs" ] || {
  echo "some of the $jobs jobs left no log"
  failed=$((failed + 1))
}
[ "$skipped" = 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
