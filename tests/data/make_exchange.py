#!/usr/bin/env python3
"""Writes the files of other programs beside this script: PyTorch (1.13), NumPy and PNG.
Needed only to regenerate them. Element i of a tensor, in the order of its own shape, is
(7 i mod 23) / 4 - 2 for floats, 7 i mod 23 for integers, i odd for booleans; the unit
tests compute the same."""

import collections
import io
import os
import pickle
import struct
import zipfile
import zlib

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def at(name):
    return os.path.join(HERE, name)


def rule(dtype, *shape):
    i = torch.arange(int(np.prod(shape, dtype=np.int64)))
    if dtype == torch.bool:
        v = i % 2 == 1
    elif dtype.is_floating_point:
        v = ((7 * i) % 23).double() / 4 - 2
    else:
        v = (7 * i) % 23
    return v.to(dtype).reshape(shape)


# ---- views, dtypes, nesting ----------------------------------------------------------
square = rule(torch.float32, 4, 6)
base = torch.zeros(3, 40)
base[:, 5:15] = rule(torch.float32, 3, 10)
shared = rule(torch.float32, 12)
checkpoint = {
    "model": collections.OrderedDict(
        [
            ("plain", square),
            ("transposed", square.t().contiguous().t()),
            ("slice", base[:, 5:15]),
            ("param", torch.nn.Parameter(rule(torch.float32, 5))),
            ("half", rule(torch.float16, 7)),
            ("bfloat", rule(torch.bfloat16, 7)),
            ("double", rule(torch.float64, 2, 3)),
            ("long", rule(torch.int64, 9)),
            ("int", rule(torch.int32, 9)),
            ("short", rule(torch.int16, 9)),
            ("char", rule(torch.int8, 9)),
            ("byte", rule(torch.uint8, 9)),
            ("bool", rule(torch.bool, 9)),
            ("scalar", rule(torch.float32)),
            ("empty", rule(torch.float32, 0, 3)),
        ]
    ),
    "shared": {"whole": shared, "again": shared, "first": shared[:4]},
    "wide": torch.tensor([-2.0]).expand(3, 1),
    "list": [rule(torch.float32, 2), {"x": rule(torch.float32, 3)}, 0.5, 3],
    "losses": [1.5, 0.5, 0.25],
    "size": torch.Size([3, 4]),
    "epoch": 12,
    "best": 0.984375,
    "done": True,
    "note": "two words",
    "none": None,
    3: rule(torch.float32, 2),
}
torch.save(checkpoint, at("views.pt"))
torch.save(checkpoint, at("views_old.pt"), _use_new_zipfile_serialization=False)
torch.save(rule(torch.float32, 3, 2), at("lone.pt"))
torch.save({"rows": [[1, 2], [3, 4]], "a": "b"}, at("no_tensors.pt"))
torch.save(torch.nn.Linear(2, 2), at("module.pt"))
torch.save({"z": torch.zeros(2, dtype=torch.complex64)}, at("complex.pt"))


def rezip(source, target, change):
    """Copies a .pt archive; change(name, data) gives the new data, None to drop it."""
    with zipfile.ZipFile(source) as f, zipfile.ZipFile(target, "w") as g:
        for info in f.infolist():
            data = change(info.filename, f.read(info.filename))
            if data is not None:
                g.writestr(zipfile.ZipInfo(info.filename), data)


with zipfile.ZipFile(at("lone.pt")) as f:
    prefix = f.namelist()[0].split("/")[0]


def swapped(name, data):
    if name.endswith("data/0"):
        return np.frombuffer(data, "<f4").astype(">f4").tobytes()
    return data


rezip(at("lone.pt"), at("big_endian.pt"), swapped)
with zipfile.ZipFile(at("big_endian.pt"), "a") as f:
    f.writestr(zipfile.ZipInfo(prefix + "/byteorder"), "big")


# ---- hostile pickles -------------------------------------------------------------------
class Run:
    def __reduce__(self):
        return os.system, ("touch pickle-was-run",)


def as_pt(name, payload):
    with zipfile.ZipFile(at(name), "w") as f:
        f.writestr(zipfile.ZipInfo("archive/data.pkl"), payload)
        f.writestr(zipfile.ZipInfo("archive/version"), "3\n")


as_pt("hostile.pt", pickle.dumps({"weight": Run()}, 2))
as_pt("hostile_stack.pt", pickle.dumps({"weight": Run()}, 4))
as_pt("hostile_text.pt", b"cos\nsystem\n(S'touch pickle-was-run'\ntR.")
as_pt("hostile_object.pt", b"\x80\x02(ccollections\nOrderedDict\nq\x00o.")
bomb = b"\x80\x02(]q\x00"  # 60 lists, each holding the one before it twice
for level in range(1, 61):
    below = b"h" + bytes([level - 1])
    bomb += b"]q" + bytes([level]) + b"(" + below + below + b"e"
as_pt("bomb.pt", bomb + b"t.")

# ---- a network, its inputs and its logits ------------------------------------------------
torch.manual_seed(5)
net = torch.nn.Sequential(
    torch.nn.Linear(16, 12),
    torch.nn.ReLU(),
    torch.nn.Linear(12, 8),
    torch.nn.ReLU(),
    torch.nn.Linear(8, 5),
)
torch.save(net.state_dict(), at("mlp.pt"))
torch.save(net.state_dict(), at("mlp_old.pt"), _use_new_zipfile_serialization=False)
x = torch.randn(20, 16)
with torch.no_grad():
    np.savez(at("mlp_io.npz"), x=x.numpy(), logits=net(x).numpy())

# The same kind of network by NumPy alone: weights [in, out], GELU, no bias on the head.
rng = np.random.default_rng(6)
W1, b1 = rng.normal(size=(16, 10)).astype("f4"), rng.normal(size=10).astype("f4")
W2, b2 = rng.normal(size=(10, 4)).astype("f4"), rng.normal(size=4).astype("f4")
xs = rng.normal(size=(9, 16)).astype("f4")
np.savez_compressed(
    at("mlp_numpy.npz"), W1=W1, b1=b1, W2=W2, b2=b2, x=xs,
    logits=np.maximum(xs @ W1 + b1, 0) @ W2 + b2,
)


# ---- PNG ---------------------------------------------------------------------------------
def png(name, colour, depth, width, height, rows, extra=b"", passes=None):
    """rows: packed bytes of each row; passes: such lists for the seven of Adam7."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
        )

    raw = b"".join(b"\0" + r for part in passes or [rows] for r in part)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, bool(passes))
    with open(at(name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra)
        f.write(chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def samples(n, depth):
    return [(37 * i + 11) % (1 << depth) for i in range(n)]


def packed(values, depth):
    if depth == 16:
        return struct.pack(">%dH" % len(values), *values)
    bits, out = "".join(format(v, "0%db" % depth) for v in values), b""
    bits += "0" * (-len(bits) % 8)
    for i in range(0, len(bits), 8):
        out += bytes([int(bits[i : i + 8], 2)])
    return out


def image(name, colour, depth, channels, width=5, height=4, extra=b""):
    v = samples(width * height * channels, depth)
    step = width * channels
    png(name, colour, depth, width, height,
        [packed(v[y * step : (y + 1) * step], depth) for y in range(height)], extra)


def plain_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


image("grey1.png", 0, 1, 1)
image("grey8.png", 0, 8, 1)
image("grey16.png", 0, 16, 1)
image("rgb8.png", 2, 8, 3)
image("rgb16.png", 2, 16, 3)
image("greya8.png", 4, 8, 2)
image("rgba8.png", 6, 8, 4)
colours = b"".join(bytes([(16 * i) % 256, (5 * i) % 256, 255 - i]) for i in range(16))
image("palette4.png", 3, 4, 1, extra=plain_chunk(b"PLTE", colours))

v = np.array(samples(81, 8)).reshape(9, 9)
adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
         (0, 1, 2, 2), (1, 0, 2, 1)]  # first row, first column, row step, column step
png("interlaced.png", 0, 8, 9, 9, None, passes=[
    [bytes(r.astype("u1")) for r in v[y0::dy, x0::dx] if r.size]
    for y0, x0, dy, dx in adam7])
