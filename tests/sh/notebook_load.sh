#!/bin/sh
# The notebook under load: keys beside a flooding cell and a stopped viewer, a million lines
# (or as many as the argument says; `bench`: a table of times instead).
. "$(dirname "$0")/tap.inc"
. "$root/tests/sh/term.inc"
on_terminals load "${1:-1000000}"
