#!/bin/sh
# Static checks. Those that judge: layers, luacheck, the manual pages. Those that only
# report: spelling, size budgets, and the format of changed lines.
# tests/lint/run.sh [--tap]: with --tap, the judging ones as test lines.
set -u
cd "$(dirname "$0")/../.." || exit 1
tap=${1:-}
n=0
bad=0
work=$(mktemp -d "${TMPDIR:-/tmp}/cleave-lint-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

judge() {
  name=$1
  shift
  n=$((n + 1))
  if "$@" >"$work/said" 2>&1; then
    verdict=ok
  else
    verdict='not ok'
    bad=$((bad + 1))
  fi
  echo "$verdict $n - $name"
  [ "$verdict" = ok ] || sed 's/^/# /' "$work/said" | head -40
}
need() {
  command -v "$1" >/dev/null 2>&1 || { echo "$1 is not installed: sh scripts/setup.sh test"; return 1; }
}

sources() { find src -name '*.[ch]' | sort; }
layers() { awk -f tests/lint/layers.awk $(sources); }
# A checker that finds nothing anywhere would pass for ever.
layers_bite() {
  mkdir -p "$work/src/base" "$work/src/lab"
  for line in '"lab/run.h"' '"err.h"' '<cblas.h>' '<curses.h>' '<lua.h>' '<jansson.h>'; do
    echo "#include $line" >"$work/src/base/x.c"
    if awk -f tests/lint/layers.awk "$work/src/base/x.c" >/dev/null; then
      echo "base/ may include $line"
      return 1
    fi
  done
  echo '#include "base/err.h"' >"$work/src/lab/x.c"
  awk -f tests/lint/layers.awk "$work/src/lab/x.c"
}
# in a notebook a cell may be a bare expression, which luacheck does not know
lua_files() { find lua scripts tests -name '*.lua' ! -path scripts/tour.lua ! -path 'tests/golden/*' | sort; }
lua() { need luacheck && luacheck -q --no-color --config tests/lint/luacheckrc $(lua_files); }
manual() { need mandoc && mandoc -T lint -W warning man/*.[1-8]; }
spelling() {
  need codespell && codespell -q 3 -I tests/lint/words.txt \
    $(git ls-files | grep -E '\.(c|h|lua|sh|awk|md|1)$|^Makefile$')
}

judge 'includes keep to the layers' layers
judge 'the layer check finds what it should' layers_bite
judge 'luacheck' lua
judge 'manual pages' manual
if [ "$tap" = --tap ]; then
  echo "1..$n"
  [ "$bad" = 0 ]
  exit
fi

# --- reports ---------------------------------------------------------------------------
echo '# spelling'
spelling
echo '# budgets: file 800 lines, header 150, Lua file 300; function 80, Lua function 50; line 88, in Lua 100'
for f in $(sources) $(lua_files); do
  case $f in
  *.h) cap=150 width=88 ;;
  *.c) cap=800 width=88 ;;
  *) cap=300 width=100 ;;
  esac
  awk -v cap=$cap -v width=$width -v f="$f" '
    length($0) > width && !/https?:/ { wide++ }
    END { if (NR > cap) printf "%s: %d lines (%d)\n", f, NR, cap
          if (wide) printf "%s: %d lines wider than %d columns\n", f, wide, width }' "$f"
done
if need ctags; then
  ctags -f - --fields=+ne --kinds-C=f --languages=C,Lua $(sources) $(lua_files) 2>/dev/null |
    awk -F '\t' '{
      from = to = 0
      for (i = 4; i <= NF; i++) {
        if ($i ~ /^line:/) from = substr($i, 6)
        if ($i ~ /^end:/) to = substr($i, 5)
      }
      cap = $2 ~ /\.lua$/ ? 50 : 80
      if (to - from + 1 > cap) printf "%s:%d: %s has %d lines (%d)\n", $2, from, $1, to - from + 1, cap
    }'
fi
if command -v git-clang-format >/dev/null 2>&1; then
  echo '# format of the lines changed by the last commit'
  git clang-format --style=file:tests/lint/clang-format --extensions c,h --diff HEAD~1 -- src tests |
    grep -c '^[-+][^-+]' | sed 's/$/ lines would be laid out differently/'
fi
[ "$bad" = 0 ]
