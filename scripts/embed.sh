#!/bin/sh
# Turns Lua files into one C table: { name, bytes, length }. Names are file stems.
echo '/* generated from lua/cleave */'
echo '#include <stddef.h>'
echo 'typedef struct LuaFile { const char *name; const unsigned char *text; size_t len; } LuaFile;'
echo 'extern const LuaFile lua_files[]; extern const size_t lua_n_files;'
n=0
for f in "$@"; do
  printf 'static const unsigned char file_%d[] = {' "$n"
  od -An -v -tu1 "$f" | tr -s ' \n' ',' | sed 's/^,//; s/,$//'
  echo '};'
  n=$((n + 1))
done
echo 'const LuaFile lua_files[] = {'
n=0
for f in "$@"; do
  printf '  { "%s", file_%d, sizeof file_%d },\n' "$(basename "$f" .lua)" "$n" "$n"
  n=$((n + 1))
done
echo '  { 0, 0, 0 } };'
echo "const size_t lua_n_files = $n;"
