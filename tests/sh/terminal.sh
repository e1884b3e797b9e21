#!/bin/sh
# What goes to a terminal: levels, filtering, the progress line. `script` makes the terminal.
. "$(dirname "$0")/tap.inc"

# on_tty FILE ENV... -- ARGS: cleave on a pseudo-terminal of 24x80, raw bytes into FILE
on_tty() {
  file=$1
  shift
  settings=''
  while [ "$1" != -- ]; do
    settings="$settings $1"
    shift
  done
  shift
  script -q -e -c "stty rows 24 cols 80; env $settings $cleave $*" "$file.raw" >/dev/null 2>&1 </dev/null
  rc=$?
  # script's own header and footer
  sed -e '1{/^Script started/d}' -e '/^Script done/d' "$file.raw" >"$file"
}
esc=$(printf '\033')
no_escapes() { ! grep -q "$esc" "$1" || { cat -v "$1" | head -5; return 1; }; }

cat >hostile.lua <<'END'
io.write("A\27]52;c;aGk=\7B\155C\194\155D\226\128\174E\255F\r\nG\bH\n")
local function f() error("msg \27[2J end") end
f()
END
on_tty tty -- run hostile.lua
check 'a script error on a terminal gives 1' same "$rc" 1
check 'no escape of the script reaches a terminal' lacks tty "$esc]52"
check 'nor in an error' lacks tty "$esc[2J"
check 'it is shown instead' has tty 'A^[]52;c;aGk=^GB'
check 'no bell, no backspace' same "$(tr -cd '\007\010' <tty | wc -c | tr -d ' ')" 0
check 'no C1 control' same "$(printf '\302\233' | LC_ALL=C grep -cF -f - tty)" 0
check 'no bidirectional override' same "$(printf '\342\200\256' | LC_ALL=C grep -cF -f - tty)" 0
check 'where it was called from is dim' has tty "$esc[2m"
on_tty tty TERM=dumb -- run hostile.lua
check 'TERM=dumb gets no escape at all' no_escapes tty
on_tty tty LC_ALL=C -- run hostile.lua
check 'in the C locale all is ASCII' sh -c "LC_ALL=C tr -d '\001-\177' <tty | cmp -s - /dev/null"

cat >slow.lua <<'END'
for i = 1, 8 do cl.progress(i, 8, "work") cl.sleep(0.15) end
print("after")
END
on_tty tty -- run slow.lua
check 'progress is a line that rewrites itself' has tty '[#####'
check 'with a rate' has tty '/s'
check 'and the time left' has tty 'ETA 00:0'
check 'it is no wider than the terminal' sh -c \
  'tr "\r" "\n" <tty | awk "length(\$0) > 80 { bad = 1 } END { exit bad }"'
check 'and is gone before the next text' sh -c "tr '\r' '\n' <tty | grep -qx after"
on_tty tty TERM=dumb -- run slow.lua
check 'TERM=dumb gets plain progress lines' lacks tty '[##'

cat >figure.lua <<'END'
cl.show(cl.images(cl.rng(1):normal({ 2, 28, 28 })))
END
# level NAME: the figure drawn at that level into a pipe
level() { "$cleave" run --level "$1" --width 60 figure.lua >"$1" 2>err </dev/null; }
for l in mono ansi 256 true; do check "a figure is drawn at level $l" level $l; done
check 'level mono has no escapes' no_escapes mono
check 'level ansi keeps to ASCII' lacks ansi '▀'
check 'level 256 uses palette colours' grep -q '[34]8;5;' 256
check 'and half blocks' grep -q '[▀▄]' 256
check 'level true uses 24 bits' grep -q '[34]8;2;' true
# tty_figure WANTED UNWANTED ENV...: the figure on a terminal has one pattern, not the other
tty_figure() {
  want=$1
  without=$2
  shift 2
  on_tty tty "$@" -- run figure.lua
  check "with '$*' the figure has /$want/" grep -q "$want" tty
  check "and no /$without/" sh -c "! grep -q '$without' tty"
}
tty_figure '[34]8;5;' '[34]8;2;'
tty_figure '[34]8;2;' '[34]8;5;' COLORTERM=truecolor
tty_figure '[34]8;5;' '[34]8;2;' COLORTERM=truecolor TERM=screen-256color
tty_figure '@' '[34]8;\|\[3[0-7]m\|\[4[0-7]m' NO_COLOR=1
tty_figure '@' '[34]8;' TERM=vt100
tty_figure '@' "$esc" TERM=dumb
tty_figure '@' "$esc" TERM=no-such-terminal
tty_figure '@' '[34]8;\|▀' TERM=xterm
tty_figure '@' '▀' LC_ALL=C
tty_figure '[▀▄]' '@' LC_ALL=xx_XX.UTF-8
"$cleave" run figure.lua >piped 2>err
check 'a pipe gets no escapes' no_escapes piped
plan_end
