#!/bin/sh
# The notebook starts on every terminal, locale and size.
. "$(dirname "$0")/tap.inc"
. "$root/tests/sh/term.inc"
on_terminals start
