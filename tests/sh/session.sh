#!/bin/sh
# Sessions as whole programs: each test is a function of session.py, in a folder of its own.
. "$(dirname "$0")/tap.inc"
CLEAVE_BIN=$cleave
TEST_DATA=$root/tests/data
export CLEAVE_BIN TEST_DATA
for t in $(python3 "$root/tests/sh/session.py" --list); do
  mkdir -p "$scratch/$t"
  check "$(echo "$t" | tr _ ' ')" python3 "$root/tests/sh/session.py" "$t" "$scratch/$t"
done
plan_end
