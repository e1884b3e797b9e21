#!/bin/sh
# The notebook on pseudo-terminals (tests/term/notebook.c, through libvterm).
. "$(dirname "$0")/tap.inc"
${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -Wall -Wextra -o notebook "$root/tests/term/notebook.c" \
  -lvterm -lutil || exit 1
dir=work
mkdir $dir
./notebook "$cleave" $dir
rc=$?
CLEAVE_RUNTIME_DIR=$scratch/$dir/rt
export CLEAVE_RUNTIME_DIR
"$cleave" ls | awk 'NR > 2 && $2 != "ended" { print $1 }' | while read -r s; do
  "$cleave" kill "$s" >killed 2>&1
done
exit $rc
