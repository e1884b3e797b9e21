"""The losses of a peer script's first steps, for seeds 1 to SEEDS, as one JSON line.

The script runs as it is on disk, with two names of its harness replaced: `bench` takes
STEPS losses instead of times, `batches` shuffles by the seed; torch's own generator is
set before every run. WRONG, as old=>new, replaces text of the script in memory: a step that
is no longer the same, which a comparison has to notice.
STEPS 0 times the script as it is. PEER_ONEDNN=0 turns oneDNN off.
usage: peer_losses.py SCRIPT STEPS SEEDS WRONG [the script's arguments]   (WRONG "": none)
"""

import json
import os
import sys


def main():
    path, steps, seeds, wrong = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if wrong:
        old, new = wrong.split("=>")
        if text.count(old) == 0:
            sys.exit(f"peer_losses.py: there is no '{old}' in {path}")
        text = text.replace(old, new)
    code = compile(text, path, "exec")
    sys.argv = [path] + sys.argv[5:]
    sys.path.insert(0, os.path.dirname(path))
    import common
    import torch

    if os.environ.get("PEER_ONEDNN") == "0":
        torch._C._set_mkldnn_enabled(False)
    if steps == 0:
        exec(code, {"__name__": "__main__", "__file__": path})
        return
    shuffled, losses = common.batches, []
    common.bench = lambda name, step, *a, **k: losses.append([float(step()) for _ in range(steps)])
    for seed in range(1, seeds + 1):
        torch.manual_seed(seed)
        common.batches = lambda x, y, size, s=seed: shuffled(x, y, size, seed=s)
        exec(code, {"__name__": "__main__", "__file__": path})
    print(json.dumps(losses))


main()
