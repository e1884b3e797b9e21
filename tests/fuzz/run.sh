#!/bin/sh
# Builds the mutation driver with clang's address and undefined-behaviour sanitizers and
# runs every parser for $FUZZ_SECONDS (300). The seed changes from run to run and is
# printed; $FUZZ_SEED repeats one. After a crash $BUILD/fuzz/NAME.last is the input:
#   $BUILD/fuzz/mutate NAME @$BUILD/fuzz/NAME.last
set -eu
cd "$(dirname "$0")/../.."
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
BUILD=${BUILD:-build}
SECONDS_EACH=${FUZZ_SECONDS:-300}
SEED=${FUZZ_SEED:-$(date +%s)}
CLANG=${CLANG:-clang}
out=$BUILD/fuzz
mkdir -p "$out"

echo "building $out/mutate"
# *_kern.c has a build rule of its own and no parser in it; the baseline pair is enough.
objects=
san="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
packages="openblas zlib libzip jansson libpng"
pkg-config --exists cairo && packages="$packages cairo" # figures are drawn with it
flags="-std=c17 -D_GNU_SOURCE -O1 -g $san -Isrc $(pkg-config --cflags $packages)"
for f in src/base/*.c src/tensor/*.c src/data/*.c src/figure/*.c \
    src/lab/jval.c src/lab/jout.c src/lab/jread.c src/lab/jfigure.c src/lab/jrebuild.c src/lab/journal.c src/lab/run.c \
    src/lab/ledger.c src/lab/fingerprint.c src/lab/runs*.c src/lab/spread.c \
    src/script/lualex.c src/kernel/protocol.c src/kernel/document.c src/kernel/percent.c \
    src/kernel/outputs.c src/kernel/names.c src/kernel/export.c src/kernel/ipynb.c \
    src/kernel/page.c src/kernel/place.c; do
    variants=plain
    case $f in *_kern.c) variants="f32_base f32_avx2 f32_avx512 f64_base" ;; esac
    for v in $variants; do
        o=$out/$(echo "$f" | tr / -).$v.o
        case $v in
        plain) set -- ;;
        f32_base) set -- -DKERN_SUFFIX=f32_base ;;
        f64_base) set -- -DKERN_SUFFIX=f64_base -DKERN_F64 ;;
        f32_avx2) set -- -DKERN_SUFFIX=f32_avx2 -mavx2 -mfma ;;
        f32_avx512)
            set -- -DKERN_SUFFIX=f32_avx512 -mavx2 -mfma -mavx512f -mavx512bw \
                -mavx512dq -mavx512vl ;;
        esac
        if [ ! "$o" -nt "$f" ]; then
            # shellcheck disable=SC2086
            "$CLANG" $flags "$@" -c -o "$o" "$f"
        fi
        objects="$objects $o"
    done
done
# shellcheck disable=SC2086
"$CLANG" $flags -Itests/fuzz -o "$out/mutate" tests/fuzz/mutate.c $objects \
    $(pkg-config --libs $packages) -lm -pthread

echo "seed $SEED, $SECONDS_EACH s for each parser"
bad=0
for name in $("$out/mutate"); do
    if ! "$out/mutate" "$name" "$SECONDS_EACH" "$SEED" "$out/$name.last"; then
        echo "$name FAILED; the input is $out/$name.last (seed $SEED)"
        bad=1
    fi
done
exit $bad
