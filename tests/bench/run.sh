#!/bin/sh
# make bench: the table; with PEER=dir also the PyTorch scripts in that folder, turn by turn.
# Variables: BENCH_S seconds of a window (0.15; with a peer 0.1), BENCH_ROUNDS turns with the
# peer (5; 0: only the comparison of losses), BENCH_CASES those to run with the peer (all),
# BENCH_FORMS of it (stock tuned-1 tuned-2), BENCH_SEEDS runs whose first losses are compared
# (12), BENCH_WITH a command to run all programs under ("chrt -r 1" on a busy machine),
# PYTHON the peer's interpreter (/usr/bin/python3).
set -eu
cd "$(dirname "$0")/../.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
case ${BUILD:=build} in
/*) ;;
*) BUILD=$(pwd)/$BUILD ;;
esac
# shellcheck disable=SC2086
${BENCH_WITH:-} "$BUILD/bench/dense" "$BUILD/cleave" "window=${BENCH_S:-0.15}"
echo 'floor: f arithmetic at the speed of a large product, b traffic at the speed of a'
echo 'read-write pass. times: us over floor. plain: the plain loop, and for dictionaries the'
echo 'dense form with C x I x I tensors, over us. Start to first product: budget 30 ms, 25 MB.'
echo
BUILD=$BUILD sh tests/sh/notebook_load.sh bench
[ -n "${PEER:-}" ] || exit 0
echo
exec "${PYTHON:-/usr/bin/python3}" -B tests/bench/peer.py "$BUILD/cleave" "$PEER"
