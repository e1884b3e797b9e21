#!/bin/sh
# Installs what cleave needs and this machine lacks: setup.sh run|test|reproduce|bench|fuzz|peer ...
# Debian and its relatives: apt. Anywhere else: names what is missing and stops.
set -u
need=''
pc() { # pkg-config name, Debian package
  command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$1" 2>/dev/null || need="$need $2"
}
cmd() { # command, Debian package
  command -v "$1" >/dev/null 2>&1 || need="$need $2"
}
for what in "$@"; do
  case $what in
  run)
    cmd pkg-config pkg-config; cmd gcc gcc; cmd ar binutils
    pc ncursesw libncurses-dev; pc lua5.4 liblua5.4-dev; pc openblas libopenblas-dev
    pc libpng libpng-dev; pc zlib zlib1g-dev; pc jansson libjansson-dev
    pc cairo libcairo2-dev
    pc libzip libzip-dev
    ;;
  test)
    pc cmocka libcmocka-dev; pc vterm libvterm-dev
    cmd pgrep procps; cmd tmux tmux; cmd luacheck lua-check; cmd mandoc mandoc; cmd codespell codespell
    cmd mpirun openmpi-bin; cmd jq jq; cmd column bsdextrautils; cmd infocmp ncurses-bin; cmd ctags universal-ctags; cmd python3 python3
    [ -e /usr/share/terminfo/x/xterm-direct ] || need="$need ncurses-term"
    [ -e /usr/lib/python3/dist-packages/numpy ] || need="$need python3-numpy"
    ;;
  reproduce)
    cmd mpirun openmpi-bin; cmd sbatch slurm-client
    [ -e /usr/sbin/slurmctld ] || need="$need slurmctld"
    [ -e /usr/sbin/slurmd ] || need="$need slurmd"
    [ -e /usr/sbin/munged ] || need="$need munge"
    ;;
  bench) cmd gcc gcc; pc vterm libvterm-dev ;;
  fuzz) cmd clang clang ;;
  peer) [ -e /usr/lib/python3/dist-packages/torch ] || need="$need python3-torch libopenblas0-openmp" ;;
  *) echo "setup.sh: unknown purpose '$what'; use run, test, reproduce, bench, fuzz or peer" >&2; exit 2 ;;
  esac
done
[ -n "$need" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "setup.sh: missing (Debian package names):$need" >&2
  echo "setup.sh: install their equivalents on this system and run make again" >&2
  exit 1
fi
sudo=''
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null 2>&1 || {
    echo "setup.sh: missing:$need; as root run: apt-get install -y$need" >&2
    exit 1
  }
  sudo=sudo
fi
echo "installing:$need"
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null || exit 1
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $need >/dev/null || {
  echo "setup.sh: apt-get could not install:$need" >&2
  exit 1
}
