# Checks what src/ includes: each folder has a rank and may include itself and lower ranks,
# always as "folder/name.h"; a library that has a door is included there only.
#   awk -f tests/lint/layers.awk $(find src -name '*.[ch]')
function complain(text) {
  printf "%s:%d: %s\n", FILENAME, FNR, text
  bad++
}
# doors: library header, then the files or folders (ending in /) that may include it
function door(header, places) { doors[header] = places }
function may_open(header, file,    i, n, place) {
  n = split(doors[header], place, " ")
  for (i = 1; i <= n; i++)
    if (place[i] == file || (place[i] ~ /\/$/ && index(file, place[i]) == 1)) return 1
  return 0
}
BEGIN {
  n = split("base/0 tensor/1 figure/1 graph/2 model/3 decomp/3 data/3 lab/4 script/5 kernel/6 ui/7", r, " ")
  for (i = 1; i <= n; i++) {
    split(r[i], part, "/")
    rank[part[1]] = part[2]
  }
  rank["main.c"] = 8
  door("cblas.h", "tensor/openblas.h")
  door("lapack.h", "")
  door("lapacke.h", "")
  door("curses.h", "ui/term.c")
  door("ncurses.h", "")
  door("term.h", "ui/term.c")
  door("lua.h", "script/")
  door("lauxlib.h", "script/")
  door("lualib.h", "script/")
  door("png.h", "figure/ tensor/png_read.c")
  door("zip.h", "tensor/")
  door("cairo.h", "figure/")
  door("jansson.h", "tensor/safetensors.c lab/ script/ kernel/ ui/ main.c")
}
FNR == 1 {
  file = FILENAME
  sub(/^(.*\/)?src\//, "", file)
  folder = file
  sub(/\/.*/, "", folder)
  if (!(folder in rank)) complain("folder " folder " has no rank; give it one in tests/lint/layers.awk")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
  split($0, quoted, "\"")
  target = quoted[2]
  if (target !~ /^[a-z0-9_]+\/[a-z0-9_]+\.h$/) {
    complain("write \"folder/name.h\" instead of \"" target "\"")
    next
  }
  other = target
  sub(/\/.*/, "", other)
  if (!(other in rank)) complain("\"" target "\" is in a folder without a rank")
  else if (other != folder && rank[other] + 0 > rank[folder] + 0)
    complain(folder " may not include \"" target "\": " other " is a higher layer")
  else if (other != folder && rank[other] == rank[folder])
    complain(folder " may not include \"" target "\": " other " is its sibling")
}
/^[ \t]*#[ \t]*include[ \t]*</ {
  header = $0
  sub(/^[^<]*</, "", header)
  sub(/>.*/, "", header)
  sub(/^.*\//, "", header)
  if ((header in doors) && !may_open(header, file))
    complain("<" header "> may be included " (doors[header] == "" ? "nowhere" : "only by " doors[header]))
}
END { exit bad > 0 }
