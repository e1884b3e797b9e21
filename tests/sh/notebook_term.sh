#!/bin/sh
# The notebook on a pseudo-terminal: what it shows, what a key costs, how it ends.
. "$(dirname "$0")/tap.inc"
. "$root/tests/sh/term.inc"
on_terminals notebook
