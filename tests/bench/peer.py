"""Steps a second of cleave and of PyTorch scripts of the same steps, turn by turn.

Every round runs cleave and then one form of the peer, for each form and case in turn; the
figure is the median of the rounds' ratios, with their range. The forms: stock as the
system has it; tuned-1 with one thread and a malloc that keeps freed memory; tuned-2 with
two threads in one OpenMP pool and the same malloc. Both sides draw shuffled batches of
MNIST without replacement; a figure is given only if the peer's last losses agree with
those of cleave after as many steps, within four standard errors.
usage: peer.py CLEAVE FOLDER   (BENCH_S, BENCH_ROUNDS, BENCH_CASES, BENCH_WITH: see run.sh)
"""

import glob
import gzip
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

CASES = [  # of cleave bench (up to a "/"), of the peer, the ratios asked for by form
    ("mlp-128", ["mlp.py", "128", "8"], {"stock": 10, "tuned-1": 5}),
    ("mlp-1024", ["mlp.py", "1024", "8"], {"stock": 8, "tuned-2": 2.5}),
    ("mlp-8192", ["mlp.py", "8192", "8"], {"stock": 4, "tuned-2": 1.6}),
    ("bilinear", ["bilinear.py"], {"stock": 1.6, "tuned-2": 1.2}),
    ("sae-batchtopk", ["sae.py", "batchtopk"], {"stock": 4, "tuned-2": 2.5}),
    ("spd-512", ["spd.py"], {"stock": 10}),
    ("spd-512/expert", ["spd_expert.py"], {"tuned-2": 3}),
]
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}
FORMS = {
    "stock": {},
    "tuned-1": {"TORCH_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **MALLOC},
    "tuned-2": {"TORCH_THREADS": "2", **MALLOC},
}
WINDOWS, WARM_UP = 7, 0.5  # of the peer's harness
WINDOW = os.environ.get("BENCH_S", "0.1")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
WITH = os.environ.get("BENCH_WITH", "").split()
ONLY = os.environ.get("BENCH_CASES", "").split()
if ONLY:
    CASES = [c for c in CASES if c[0] in ONLY]


def unpack(folder):
    for path in glob.glob("data/mnist/*.gz"):
        with gzip.open(path) as f, open(os.path.join(folder, os.path.basename(path)[:-3]), "wb") as out:
            out.write(f.read())


def run(command, **variables):
    env = {**os.environ, **variables}
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        env.pop(name, None)
    done = subprocess.run(WITH + command, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"peer.py: {' '.join(command)} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def losses_agree(ours, theirs):
    """Of cleave's spans of steps, the one the peer ended in; and whether they agree."""
    steps = (WARM_UP + WINDOWS * float(WINDOW)) * 1e6 / statistics.median(t["us"] for t in theirs)
    spans = ours[-1]["losses"]
    span = max((s for s in spans if s["from"] <= steps), key=lambda s: s["from"], default=spans[0])
    mean = statistics.mean(t["loss"] for t in theirs)
    error = 4 * span["sd"] / math.sqrt(len(theirs))
    return span["mean"], mean, abs(mean - span["mean"]) <= error


def busy(form, result):
    """Waiting that one thread cannot cause itself: other programs had the processor."""
    return form == "tuned-1" and result["us"] > 1.1 * result["cpu_us"]


def main():
    cleave, folder = sys.argv[1:3]
    openmp = glob.glob("/usr/lib/*/openblas-openmp")
    forms = dict(FORMS)
    if openmp:
        forms["tuned-2"] = {**forms["tuned-2"], "LD_LIBRARY_PATH": openmp[0]}
    else:
        print("no OpenMP build of OpenBLAS (package libopenblas0-openmp): tuned-2 is left out")
        del forms["tuned-2"]
    turns, loads = {}, []
    with tempfile.TemporaryDirectory() as mnist:
        unpack(mnist)
        for _ in range(ROUNDS):
            for name, script, _ in CASES:
                for form, variables in forms.items():
                    for _ in range(3):
                        ours = run([cleave, "bench", "--window", WINDOW, "--json", name.split("/")[0]])
                        theirs = run([sys.executable, "-B", os.path.join(folder, script[0])] + script[1:],
                                     MNIST_DIR=mnist, BENCH_S=WINDOW, **variables)
                        if not busy(form, theirs):
                            break
                    turns.setdefault((name, form), []).append((ours, theirs))
                    loads.append(os.getloadavg()[0])
    report(turns, loads)


def report(turns, loads):
    first, peer = next(iter(turns.values()))[0]
    print(f"cleave: {first['isa']}, {first['threads']} threads, BLAS kernels {first['kernels']}; "
          f"{ROUNDS} rounds; load {min(loads):.1f} to {max(loads):.1f}")
    print(f"the peer's import takes {peer['import_s']:.2f} s")
    print(f"{'case':<14}{'peer':<9}{'us':>9}{'peer us':>9} {'ratio':>6} {'range':>13} {'asked':>6}  "
          f"{'loss':>6} {'peer':>6} {'MB':>5} {'peer':>5}")
    for name, _, asked in CASES:
        for form in FORMS:
            if (name, form) not in turns:
                continue
            pairs = turns[name, form]
            ratios = sorted(b["us"] / a["us"] for a, b in pairs)
            ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
            own, other, agree = losses_agree(ours, theirs)
            figure = f"{statistics.median(ratios):6.2f} {f'{ratios[0]:.2f}-{ratios[-1]:.2f}':>13}"
            if not agree:
                figure = f"{'losses differ':>20}"
            print(f"{name:<14}{form:<9}{statistics.median(a['us'] for a in ours):9.1f}"
                  f"{statistics.median(b['us'] for b in theirs):9.1f} {figure} "
                  f"{asked.get(form, '-'):>6}  {own:6.3f} {other:6.3f} "
                  f"{ours[-1]['rss_mb']:5.0f} {theirs[-1]['rss_mb']:5.0f}"
                  f"{'  (busy)' if any(busy(form, b) for b in theirs) else ''}")


main()
