#!/bin/sh
# make dist: $BUILD/cleave-VERSION-MACHINE.tar.gz, a folder that runs from anywhere without root:
# the program, the libraries it was linked with (all but libc and the loader, which have to be
# the system's), their licences, data, scripts, manual pages and completions. It needs a glibc as
# new as this system's. Equal inputs give equal bytes.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
version=$("$BUILD/cleave" --version | sed 's/^cleave //')
name=cleave-$version-$(uname -m)
stage=$BUILD/dist/$name
rm -rf "$BUILD/dist"
mkdir -p "$stage/lib" "$stage/share/doc/cleave/licences"
${MAKE:-make} --no-print-directory -s install BUILD="$BUILD" PREFIX= DESTDIR="$(cd "$stage" && pwd)"
install -m755 "$BUILD/dist-cleave" "$stage/bin/cleave"
strip -g "$stage/bin/cleave"
ln -s share/cleave/scripts "$stage/scripts"
for f in README.md LICENSE; do [ ! -e $f ] || cp $f "$stage"; done

# libopenblas and libcairo are opened by name when they are first needed, so ldd does not see them
cairo=$(${CC:-cc} -print-file-name=libcairo.so.2)
blas=$(${CC:-cc} -print-file-name=libopenblas.so.0)
{ echo "cairo => $cairo"; echo "blas => $blas"; ldd "$BUILD/dist-cleave" "$cairo" "$blas"; } |
  awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -Ev '/(libc|libm|libdl|librt|libpthread|libresolv)\.so|/ld-linux' >"$BUILD/dist/libraries"
while read -r lib; do
  real=$(readlink -f "$lib")
  install -m644 "$real" "$stage/lib/$(basename "$lib")"
  # a merged /usr: the package may have it as /lib/...
  package=$(dpkg -S "$real" "${real#/usr}" 2>/dev/null | sed 's/:.*//' | head -n 1 || true)
  if [ -n "$package" ] && [ -r "/usr/share/doc/$package/copyright" ]; then
    cp -L "/usr/share/doc/$package/copyright" "$stage/share/doc/cleave/licences/$package"
  else
    echo "dist.sh: no licence text found for $lib" >&2
  fi
done <"$BUILD/dist/libraries"

when=$(git log -1 --format=%ct 2>/dev/null || date +%s)
tar -C "$BUILD/dist" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" -cf - "$name" |
  gzip -9n >"$BUILD/$name.tar.gz"
echo "$BUILD/$name.tar.gz"
