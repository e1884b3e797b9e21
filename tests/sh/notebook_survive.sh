#!/bin/sh
# The notebook outlives a killed viewer, a killed kernel and a cell that cannot be stopped.
. "$(dirname "$0")/tap.inc"
. "$root/tests/sh/term.inc"
on_terminals survive
