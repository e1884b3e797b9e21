#!/bin/sh
# make install and uninstall in a prefix of its own; completions; cleave bench.
. "$(dirname "$0")/tap.inc"
unset CLEAVE_DATA
make_() { make -s -C "$root" BUILD="$build" PREFIX="$scratch/prefix" "$@" >make.log 2>&1; }

make_ install
check 'make install gives 0' same "$?" 0
for f in bin/cleave share/man/man1/cleave.1 share/cleave/mnist/train-images-idx3-ubyte.gz \
  share/cleave/scripts/two_bank.lua share/bash-completion/completions/cleave \
  share/zsh/site-functions/_cleave; do
  check "it installs $f" [ -s "prefix/$f" ]
done
mkdir elsewhere
(cd elsewhere && ../prefix/bin/cleave doctor) >out 2>err
check 'the installed program finds its data' has out "MNIST in $scratch/prefix/bin/../share/cleave/mnist"
make_ uninstall
check 'make uninstall gives 0' same "$?" 0
check 'and leaves no file' same "$(find prefix ! -type d | wc -l)" 0
check 'nor a folder of its own' same "$(find prefix -name 'cleave*')" ''
make_ install DESTDIR="$scratch/stage"
check 'DESTDIR goes in front' [ -x "stage$scratch/prefix/bin/cleave" ]

# what bash offers for the words of a command line, the last one being completed
offers() {
  bash -c '. ./bash.sh; compopt() { :; }
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cleave; echo "${COMPREPLY[*]}"' offers "$@"
}
go completion bash
cp out bash.sh
check 'bash completion is a bash program' bash -n bash.sh
touch one.lua two.txt
check 'it completes commands' same "$(offers cleave do)" doctor
check 'options' same "$(offers cleave run --wi)" --width=
check 'scripts, and nothing else' same "$(offers cleave run o) $(offers cleave run t)" 'one.lua '
check 'bench cases' same "$(offers cleave bench mlp-1)" 'mlp-128 mlp-1024'
check 'shells' same "$(offers cleave completion z)" zsh
go completion zsh
check 'zsh completion names its command' same "$(head -n 1 out)" '#compdef cleave'
"$cleave" --help | sed -n 's/^  cleave \([a-z]*\) .*/\1/p' | while read -r c; do
  grep -q "^    ($c)\$" out || echo "$c"
done >missing
check 'and has every command' lines missing 0
check 'and reads as a shell program' bash -n out
go completion fish
check 'an unknown shell gives 2' same "$rc" 2
check 'in one sentence' lines err 1

export CLEAVE_DATA="$root/data"
go bench --window 0.001 --json gemm add softmax
check 'cleave bench gives 0: the plain loops agree' same "$rc" 0
check 'and an object a case' same "$(jq -r .case out | tr '\n' ' ')" 'gemm add softmax '
check 'with a time, a floor and a plain time' same \
  "$(jq -s 'all(.us > 0 and .floor_us > 0 and .plain_us > 0)' out)" true
go bench --losses 64 --json mlp-128
check 'a training step has losses that fall' same \
  "$(jq '.losses | (.[:8] | add) > (.[-8:] | add)' out)" true
go bench --window 0.001 gemm
check 'the table has a heading and a line a case' lines out 3
check 'no wider than a terminal' same "$(sed 1d out | awk 'length > 80')" ''
go bench gmem
check 'an unknown case gives 2' same "$rc" 2
check 'and what was meant' has err "did you mean 'gemm'"
plan_end
