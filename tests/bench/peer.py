"""Steps a second of cleave and of PyTorch scripts of the same steps, turn by turn.

Every round runs cleave and then one form of the peer, for each form and case in turn; the
figure is the median of the rounds' ratios, with their range; cpu is that of processor time,
of all threads, which a busy machine disturbs less. The forms: stock as the
system has it; tuned-1 with one thread and a malloc that keeps freed memory; tuned-2 with
two threads in one OpenMP pool and the same malloc. Both sides draw shuffled batches of
MNIST without replacement. A figure is given only if both train alike: before any timing
they run the same number of first steps for the same number of seeds, and agree.py compares
the losses. That it can fail is shown each time: the peer with three times the learning rate has
to be called different. The stock form of spd.py does not train alike with oneDNN: the
gradient of GELU in PyTorch 1.13 with oneDNN 2.6 is wrong where the strides of the incoming
gradient are not those of the input, as after an einsum. So it is run without oneDNN
("spd-512"), which is right, and as the system has it ("spd-512/onednn").
usage: peer.py CLEAVE FOLDER   (BENCH_S, BENCH_ROUNDS, BENCH_CASES, BENCH_FORMS, BENCH_SEEDS,
BENCH_WITH: see run.sh)
"""

import glob
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile

import agree

CASES = [  # of cleave bench (up to a "/"), of the peer, the ratios asked for, steps to compare
    ("mlp-128", ["mlp.py", "128", "8"], {"stock": 10, "tuned-1": 5}, 255),
    ("mlp-1024", ["mlp.py", "1024", "8"], {"stock": 8, "tuned-2": 2.5}, 255),
    ("mlp-8192", ["mlp.py", "8192", "8"], {"stock": 4, "tuned-2": 1.6}, 127),
    ("bilinear", ["bilinear.py"], {"stock": 1.6, "tuned-2": 1.2}, 127),
    ("sae-batchtopk", ["sae.py", "batchtopk"], {"stock": 4, "tuned-2": 2.5}, 63),
    ("spd-512", ["spd.py"], {"stock": 10}, 31),
    ("spd-512/onednn", ["spd.py"], {"stock": 10}, 31),
    ("spd-512/expert", ["spd_expert.py"], {"tuned-2": 3}, 31),
]
WRONG = "lr=1e-3=>lr=3e-3"
HARNESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_losses.py")
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}
ONE_THREAD = {"TORCH_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **MALLOC}
FORMS = {
    "stock": {},
    "tuned-1": ONE_THREAD,
    "tuned-2": {"TORCH_THREADS": "2", **MALLOC},
}
WINDOW = os.environ.get("BENCH_S", "0.1")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SEEDS = int(os.environ.get("BENCH_SEEDS", "12"))
WITH = os.environ.get("BENCH_WITH", "").split()
ONLY = os.environ.get("BENCH_CASES", "").split()
if ONLY:
    CASES = [c for c in CASES if c[0] in ONLY]
if os.environ.get("BENCH_FORMS"):
    FORMS = {form: FORMS[form] for form in os.environ["BENCH_FORMS"].split()}


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


def peer(folder, mnist, case, steps, wrong, **variables):
    """The losses of so many steps (with text of the script replaced), or 0: times."""
    name, script, _, _ = case
    if name == "spd-512":
        variables["PEER_ONEDNN"] = "0"
    command = [sys.executable, "-B", HARNESS, os.path.join(folder, script[0]), str(steps), str(SEEDS), wrong]
    return run(command + script[1:], MNIST_DIR=mnist, BENCH_S=WINDOW, **variables)


def alike(cleave, folder, mnist, case):
    """Whether cleave's first losses agree with the peer's; prints the outcome."""
    name, _, _, steps = case
    ours = [
        run([cleave, "bench", "--losses", str(steps), "--seed", str(seed), name.split("/")[0]])["losses"]
        for seed in range(1, SEEDS + 1)
    ]
    right = agree.compare(ours, peer(folder, mnist, case, steps, "", **ONE_THREAD))
    ok, most = agree.agree(right), agree.worst(right)
    said = "agree" if ok else "DIFFER"
    print(f"{name:<15}{said}: at most {most.errors:.1f} errors ({most.what})", end="", flush=True)
    if not ok:
        print()
        return False
    wrong = agree.compare(ours, peer(folder, mnist, case, steps, WRONG, **ONE_THREAD))
    seen = not agree.agree(wrong)
    print(
        f"; sharpest test {100 * min(t.resolution for t in right):.1f} %; with {WRONG.split('=>')[1]}: "
        f"{agree.worst(wrong).errors:.1f} errors{'' if seen else ', NOT SEEN'}",
        flush=True,
    )
    return seen


def busy(form, result):
    """Waiting that one thread cannot cause itself: other programs had the processor."""
    return form == "tuned-1" and result["us"] > 1.1 * result["cpu_us"]


def main():
    cleave, folder = sys.argv[1:3]
    openmp = glob.glob("/usr/lib/*/openblas-openmp")
    forms = dict(FORMS)
    if openmp and "tuned-2" in forms:
        forms["tuned-2"] = {**forms["tuned-2"], "LD_LIBRARY_PATH": openmp[0]}
    elif "tuned-2" in forms:
        print("no OpenMP build of OpenBLAS (package libopenblas0-openmp): tuned-2 is left out")
        del forms["tuned-2"]
    turns, loads = {}, []
    with tempfile.TemporaryDirectory() as mnist:
        unpack(mnist)
        print(f"losses of the first steps, {SEEDS} seeds; {agree.LIMIT} standard errors are allowed")
        same = {case[0]: alike(cleave, folder, mnist, case) for case in CASES}
        for _ in range(ROUNDS):
            for case in CASES:
                name = case[0]
                for form, variables in forms.items():
                    for _ in range(3):
                        ours = run([cleave, "bench", "--window", WINDOW, "--json", name.split("/")[0]])
                        theirs = peer(folder, mnist, case, 0, "", **variables)
                        if not busy(form, theirs):
                            break
                    turns.setdefault((name, form), []).append((ours, theirs))
                    loads.append(os.getloadavg()[0])
    if turns:
        report(turns, loads, same)


def report(turns, loads, same):
    first, theirs = next(iter(turns.values()))[0]
    print(f"cleave: {first['isa']}, {first['threads']} threads, BLAS kernels {first['kernels']}; "
          f"{ROUNDS} rounds; load {min(loads):.1f} to {max(loads):.1f}")
    print(f"the peer's import takes {theirs['import_s']:.2f} s")
    print(f"{'case':<15}{'peer':<8}{'us':>9}{'peer us':>9} {'ratio':>6} {'range':>13} {'asked':>6} {'cpu':>6}  "
          f"{'MB':>5} {'peer':>5}")
    for name, _, asked, _ in CASES:
        for form in FORMS:
            if (name, form) not in turns:
                continue
            pairs = turns[name, form]
            ratios = sorted(b["us"] / a["us"] for a, b in pairs)
            ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
            figure = f"{statistics.median(ratios):6.2f} {f'{ratios[0]:.2f}-{ratios[-1]:.2f}':>13}"
            cpu = f"{statistics.median(b['cpu_us'] / a['cpu_us'] for a, b in pairs):.2f}" if same[name] else "-"
            if not same[name]:
                figure = f"{'not shown alike':>20}"
            print(f"{name:<15}{form:<8}{statistics.median(a['us'] for a in ours):9.1f}"
                  f"{statistics.median(b['us'] for b in theirs):9.1f} {figure} "
                  f"{asked.get(form, '-'):>6} {cpu:>6}  "
                  f"{ours[-1]['rss_mb']:5.0f} {theirs[-1]['rss_mb']:5.0f}"
                  f"{'  (busy)' if any(busy(form, b) for b in theirs) else ''}")


main()
