#!/bin/sh
# The tensor study on other data, by path: IDX files of some digits, inverted, so that nothing is
# MNIST's but the format; and what the scripts say of a folder that holds no such files.
. "$(dirname "$0")/tap.inc"
scripts=$root/scripts
mnist=$root/data/mnist

# idx KIND COUNT NAME: the first images or labels of a bundled set under other headers; COUNT below 65536
idx() {
  count=$(printf '\\%03o\\%03o' $(($2 / 256)) $(($2 % 256)))
  case $1 in
  images) dims='\003\000\000'$count'\000\000\000\034\000\000\000\034' header=16 each=784 ;;
  *) dims='\001\000\000'$count header=8 each=1 ;;
  esac
  # shellcheck disable=SC2059
  printf "\\000\\000\\010$dims"
  gzip -dc "$mnist/$3" | tail -c +$((header + 1)) | head -c $(($2 * each)) |
    if [ "$1" = images ]; then perl -e 'binmode STDIN; binmode STDOUT; local $/; print ~<STDIN>'; else cat; fi
}
mkdir other
idx images 4000 train-images-idx3-ubyte.gz | gzip -n >other/train-images-idx3-ubyte.gz
idx labels 4000 train-labels-idx1-ubyte.gz >other/train-labels-idx1-ubyte
idx images 600 t10k-images-idx3-ubyte.gz >other/t10k-images-idx3-ubyte
idx labels 600 t10k-labels-idx1-ubyte.gz | gzip -n >other/t10k-labels-idx1-ubyte.gz
check 'four IDX files of another set were made' same "$(gzip -dc other/train-images-idx3-ubyte.gz | wc -c | tr -d ' ')" \
  $((16 + 4000 * 784))

go run --runs runs "$scripts/tensor_regulariser.lua" data=other seeds=1 epochs=15 steps=20 gallery=2
check 'the study of regularisers runs on it' same "$rc" 0
run=$(last_run)
check 'networks learn it' jq -e '[.result.rows[].accuracy] | min > 0.5' "$run/run.json"
check 'its pixels are those of the set: no background is left' \
  jq -e '[.result.rows[].background_energy // 0] | max < 0.001' "$run/run.json"

go run --runs runs "$scripts/tensor_study.lua" data=other 'only=symmetric' nulls=false epochs=3 gallery=2 keep="$scratch/kept"
check 'so does the whole study' same "$(state_of "$(last_run)")" done
check 'with a row of every dictionary' jq -e '.result.ours | length > 10' "$(last_run)/run.json"
first=$(jq -c .result.ours "$(last_run)/run.json")
go run --runs runs "$scripts/tensor_study.lua" data=other 'only=symmetric' nulls=false epochs=3 gallery=2 keep="$scratch/kept"
check 'and goes on from its files to the same figures' same "$(jq -c .result.ours "$(last_run)/run.json")" "$first"

mkdir empty
for script in tensor_study tensor_parts tensor_regulariser; do
  go run --runs runs "$scripts/$script.lua" data=empty
  check "$script names a folder without data" has err empty
done
plan_end
