#!/usr/bin/env python3
"""Reads cleave's run folders into NumPy arrays. One file, nothing but NumPy needed.

    import cleave_runs as cr
    for run in cr.runs("runs", state="done", rank=64):
        steps, loss = run.metric("loss")          # float64 arrays
        print(run.name, run.settings["seed"], run.result, loss[-1])
        tensors = run.load("dict.safetensors")    # {name: array}
    steps, loss = cr.curves(cr.runs("runs"), "loss")   # [runs, steps], NaN where missing
    table = cr.table(cr.runs("runs"), ["seed", "lr", "test_acc"])

A run that is still being written can be read; a torn last line is passed over, as
cleave itself does. python3 cleave_runs.py [FOLDER] prints one line for each run.
"""

import json
import os
import socket
import sys
import time

import numpy as np

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}


def _number(x):
    """A JSON value as a float; cleave writes "nan", "inf" and "-inf" as text."""
    if isinstance(x, str) and x not in ("nan", "inf", "-inf"):
        return float("nan")
    try:
        return float(x)
    except (TypeError, ValueError):
        return float("nan")


def safetensors(path):
    """The tensors of a .safetensors file by name, and its metadata.

    bf16 becomes float32, as NumPy does not have it."""
    with open(path, "rb") as f:
        data = f.read()
    if len(data) < 8:
        raise ValueError("%s is no safetensors file: it has %d bytes" % (path, len(data)))
    n = int.from_bytes(data[:8], "little")
    if n > len(data) - 8:
        raise ValueError("%s ends inside its header" % path)
    head = json.loads(data[8 : 8 + n])
    meta = head.pop("__metadata__", {})
    out = {}
    for name, row in head.items():
        a, b = row["data_offsets"]
        raw = data[8 + n + a : 8 + n + b]
        if row["dtype"] == "BF16":
            half = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
            x = half.view(np.float32)
        else:
            x = np.frombuffer(raw, _DTYPES[row["dtype"]])
        out[name] = x.reshape(row["shape"])
    return out, meta


class Run:
    """One run folder. `info` is run.json; settings, result, state and the like are its
    members."""

    def __init__(self, path):
        self.path = str(path)
        self.name = os.path.basename(os.path.normpath(self.path))
        with open(os.path.join(self.path, "run.json"), encoding="utf-8") as f:
            self.info = json.load(f)
        self._metrics = None

    def __repr__(self):
        return "Run(%r, %s)" % (self.path, self.state)

    def __getitem__(self, key):
        """A setting, a value of the result, or a member of run.json; KeyError if none."""
        for place in (self.settings, self.result, self.info):
            if isinstance(place, dict) and key in place:
                return place[key]
        raise KeyError(key)

    def get(self, key, default=None):
        try:
            return self[key]
        except KeyError:
            return default

    @property
    def settings(self):
        return self.info.get("settings") or {}

    @property
    def result(self):
        return self.info.get("result")

    @property
    def state(self):
        """running, done, failed, stopped, or crashed for one that says it is running and
        is not."""
        state = self.info.get("state", "crashed")
        return "crashed" if state == "running" and not self._alive() else state

    def _alive(self):
        if self.info.get("host") == socket.gethostname() and self.info.get("pid"):
            return self._process_start() == self.info.get("pid_start")
        try:
            beat = os.stat(os.path.join(self.path, "heartbeat")).st_mtime
        except OSError:
            return False
        return time.time() - beat < 60

    def _process_start(self):
        try:
            with open("/proc/%d/stat" % self.info["pid"], encoding="utf-8") as f:
                return int(f.read().rsplit(")", 1)[1].split()[19])
        except (OSError, ValueError, IndexError):
            return None

    @property
    def metrics(self):
        """All metric lines: a list of dictionaries with step, t and the values."""
        if self._metrics is None:
            self._metrics = list(self._lines("metrics.jsonl"))
        return self._metrics

    def _lines(self, name):
        try:
            f = open(os.path.join(self.path, name), encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        with f:
            for line in f:
                try:
                    x = json.loads(line)
                except ValueError:
                    continue  # the last line of a run that was cut short
                if isinstance(x, dict):
                    yield x

    def events(self):
        """Everything the run recorded, in order: dictionaries with seq, t, ev and more."""
        return self._lines("events.jsonl")

    def metric_names(self):
        names = []
        for line in self.metrics:
            names += [k for k in line if k not in ("step", "t") and k not in names]
        return names

    def metric(self, name):
        """(steps, values) of one metric: int64 and float64 arrays."""
        rows = [(m["step"], _number(m[name])) for m in self.metrics if name in m]
        steps = np.array([r[0] for r in rows], dtype=np.int64)
        return steps, np.array([r[1] for r in rows], dtype=np.float64)

    def files(self):
        """The array files of the run, as paths inside its folder."""
        found = []
        for folder, _, names in os.walk(self.path):
            for n in names:
                if n.endswith((".npy", ".npz", ".safetensors")):
                    found.append(os.path.relpath(os.path.join(folder, n), self.path))
        return sorted(found)

    def load(self, name):
        """An array (.npy) or a dictionary of arrays (.npz, .safetensors)."""
        path = os.path.join(self.path, name)
        if name.endswith(".safetensors"):
            return safetensors(path)[0]
        x = np.load(path, allow_pickle=False)
        return {k: x[k] for k in x.files} if name.endswith(".npz") else x


def runs(folder="runs", **where):
    """The runs of a folder in the order in which they started. Keyword arguments keep those
    whose state, setting or result is equal: runs("runs", seed=1)."""
    found = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not os.path.isfile(os.path.join(path, "run.json")):
            continue
        try:
            run = Run(path)
        except ValueError:
            continue  # not JSON: no run of ours
        if all((run.state if k == "state" else run.get(k)) == v for k, v in where.items()):
            found.append(run)
    return sorted(found, key=lambda run: (str(run.info.get("start")), run.name))


def table(found, columns):
    """{column: array} over runs: float64 where all values are numbers, else objects."""
    out = {}
    for c in columns:
        values = [r.state if c == "state" else r.get(c) for r in found]
        plain = all(v is None or isinstance(v, (int, float)) for v in values)
        out[c] = (
            np.array([np.nan if v is None else v for v in values], dtype=np.float64)
            if plain
            else np.array(values, dtype=object)
        )
    return out


def curves(found, name):
    """(steps, values [runs, steps]) of a metric over all its steps; NaN where a run has
    none. The last value counts when a step was logged twice."""
    each = [r.metric(name) for r in found]
    steps = np.unique(np.concatenate([s for s, _ in each])) if each else np.zeros(0, int)
    out = np.full((len(each), len(steps)), np.nan)
    for row, (s, v) in zip(out, each):
        for step, value in zip(np.searchsorted(steps, s), v):
            row[step] = value
    return steps, out


def main(folder):
    for run in runs(folder):
        settings = " ".join("%s=%s" % kv for kv in sorted(run.settings.items()))
        last = []
        for name in run.metric_names():
            values = run.metric(name)[1]
            last.append("%s %.6g" % (name, values[-1]))
        print("%s  %s  %s  %s" % (run.name, run.state, settings, ", ".join(last)))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("CLEAVE_RUNS", "runs"))
