#!/bin/sh
# The two scripts about autoencoders at a size that takes seconds: they run to their end with
# complete tables and computed verdicts; and folders that PyTorch reads compute what we do.
. "$(dirname "$0")/tap.inc"
scripts=$root/scripts

# run_script NAME [SETTING...]: leaves the folder of the run in $run
run_script() {
  name=$1
  shift
  run=$("$cleave" run --runs runs "$scripts/$name.lua" "$@" 2>err | tail -n 1)
}
ends() { check "$1" same "$(jq -r .state "$run/run.json")" done; }
holds() { check "$1" jq -e ".result | $2" "$run/run.json"; }

run_script sae_zoo steps=40 epochs=1 seeds=2
ends 'sae_zoo.lua runs to its end'
holds 'every activation and three variants have a row' \
  '[.[] | select(.null_fve)] | length == 13 and all(.[]; .fve < 1 and .l0 >= 0 and .dead >= 0 and .dead <= 1)'
holds 'seeds are matched beside chance' \
  '[.[] | select(.mmcs)] | length == 13 and all(.[]; .mmcs_chance > 0 and .mmcs_chance < 0.4 and .alike <= 1)'
holds 'what absorbs a digit is beside its null and within its limit' \
  '[.[] | select(.absorbed)] | length == 13 and all(.[]; .absorbed <= .silent and .absorbed_null <= .silent and .main >= 1 and .main <= 5 and .part <= 1)'
holds 'the second site has three arms, two seeds and a verdict' \
  '.[] | select(.name == "context") | (.list | length == 6) and (.verdict | startswith("context "))'
holds 'five verdicts' '.[] | select(.name == "checks") | .list | length == 5'
check 'and pictures of latents' test -s "$(ls "$run"/figures/*-latents.png)"

run_script transcoder steps=40 epochs=1 seeds=2
ends 'transcoder.lua runs to its end'
holds 'six kinds and two nulls, with their limits' \
  '[.[] | select(.rank_fve)] | length == 8 and all(.[]; .fve < 1 and .rank_fve < 1 and .dead <= 1)'
holds 'an untrained transcoder is worse' \
  '([.[] | select(.name == "K 32, untrained")][0].fve) as $u | [.[] | select(.name == "K 32")][0].fve > $u'
holds 'layers: the share that jumps is one' \
  '[.[] | select(.jumped != null)] | length == 2 and all(.[]; .jumped >= 0 and .jumped <= 1)'
holds 'seven verdicts' '.[] | select(.name == "checks") | .list | length == 7'

# --- folders that other programs read ---------------------------------------------------
cat >export.lua <<'LUA'
local x = cl.rng(1):normal { 200, 6 }
cl.save(cl.run_dir() .. "/x.npy", x)
for _, name in ipairs { "relu", "jumprelu", "gated", "topk", "batchtopk" } do
  local sae = cl.decomp.sae(x, { activation = name, latents = 16, k = 3, l0 = 3, steps = 60, batch = 50,
    normalise = "zscore" })
  cl.save(cl.run_dir() .. "/" .. name .. ".npy", sae:reconstruct(x))
  sae:export(cl.run_dir() .. "/" .. name .. "-lens")
  sae:export(cl.run_dir() .. "/" .. name .. "-dl", "dictionary_learning")
end
return 1
LUA
run=$("$cleave" run --runs runs export.lua 2>err | tail -n 1)
ends 'autoencoders are exported in both layouts'
cat >read.py <<'PY'
import json, sys
import numpy as np
import torch
folder, worst = sys.argv[1], 0.0
x = torch.tensor(np.load(folder + "/x.npy"))


def lens(name):
    with open(f"{folder}/{name}-lens/sae_weights.safetensors", "rb") as f:
        n = int.from_bytes(f.read(8), "little")
        head, data = json.loads(f.read(n)), f.read()
    w = {}
    for key, t in head.items():
        if key != "__metadata__":
            a, b = t["data_offsets"]
            w[key] = torch.tensor(np.frombuffer(data[a:b], np.float32).reshape(t["shape"]).copy())
    cfg = json.load(open(f"{folder}/{name}-lens/cfg.json"))
    z = (x - w["b_dec"] * cfg["apply_b_dec_to_input"]) @ w["W_enc"]
    kind = cfg["architecture"]
    if kind == "gated":
        f = (z + w["b_gate"] > 0) * torch.relu(z * w["r_mag"].exp() + w["b_mag"])
    elif kind == "jumprelu":
        z = z + w["b_enc"]
        f = torch.relu(z) * (z > w["threshold"])
    elif kind == "topk":
        top = (z + w["b_enc"]).topk(cfg["k"])
        f = torch.zeros_like(z).scatter(-1, top.indices, top.values.relu())
    else:
        f = torch.relu(z + w["b_enc"])
    return f @ w["W_dec"] + w["b_dec"]


def dl(name):
    w = torch.load(f"{folder}/{name}-dl/ae.pt", weights_only=True)
    t = json.load(open(f"{folder}/{name}-dl/config.json"))["trainer"]
    kind = t["dict_class"]
    if kind == "JumpReluAutoEncoder":
        z = x @ w["W_enc"] + w["b_enc"]
        return torch.relu(z * (z > w["threshold"])) @ w["W_dec"] + w["b_dec"]
    bias = w["bias"] if kind == "AutoEncoder" else w["decoder_bias" if kind == "GatedAutoEncoder" else "b_dec"]
    z = (x - bias) @ w["encoder.weight"].T
    if kind == "GatedAutoEncoder":
        f = (z + w["gate_bias"] > 0) * torch.relu(w["r_mag"].exp() * z + w["mag_bias"])
    else:
        f = torch.relu(z + w["encoder.bias"])
    if kind == "AutoEncoderTopK":
        top = f.topk(int(w["k"]))
        f = torch.zeros_like(f).scatter(-1, top.indices, top.values)
    if kind == "BatchTopKSAE":
        f = f * (f > w["threshold"])
    return f @ w["decoder.weight"].T + bias


for name in ("relu", "jumprelu", "gated", "topk", "batchtopk"):
    y = torch.tensor(np.load(f"{folder}/{name}.npy"))
    worst = max(worst, float((lens(name) - y).abs().max()), float((dl(name) - y).abs().max()))
print("agree" if worst < 1e-4 else worst)
PY
if /usr/bin/python3 -c 'import torch, numpy' 2>err; then
  check 'PyTorch computes the same outputs from them' same "$(/usr/bin/python3 read.py "$run" 2>&1 | tail -n 1)" agree
else
  check 'PyTorch computes the same outputs from them # SKIP no PyTorch here' true
fi
plan_end
