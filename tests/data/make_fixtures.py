#!/usr/bin/env python3
"""Writes the array files beside this script with NumPy (needed only to regenerate them).

Values follow one rule that tests/unit/tensor/io.c recomputes: element i in C order is
3 * i - 7, kept to 0 or 1 for booleans and to its absolute value for unsigned types.
The safetensors files are put together byte by byte from the published description."""

import json
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def values(dtype, *shape):
    n = int(np.prod(shape, dtype=np.int64))
    v = 3 * np.arange(n, dtype=np.int64) - 7
    if dtype == "?":
        v = v % 2
    elif np.dtype(dtype).kind == "u":
        v = abs(v)
    return v.astype(dtype).reshape(shape)


def npy(name, array, version=(1, 0)):
    with open(os.path.join(HERE, name + ".npy"), "wb") as f:
        np.lib.format.write_array(f, array, version=version)


npy("f4", values("<f4", 3, 4))
npy("f8_fortran", np.asfortranarray(values("<f8", 2, 3, 4)))
npy("f2", values("<f2", 5))
npy("f4_big", values(">f4", 2, 2))
npy("i2_big", values(">i2", 6))
npy("i8", values("<i8", 4, 1))
npy("u8_wide", values("<u8", 4))
npy("u1", values("|u1", 2, 3))
npy("i1", values("|i1", 3))
npy("b1", values("?", 6))
npy("scalar", values("<f8"))
npy("empty", values("<f4", 0, 3))
npy("version2", values("<i4", 3, 2), (2, 0))
npy("version3", values("<i4", 3, 2), (3, 0))
npy("too_big", np.array([1, 2**40], "<i8"))
npy("complex", values("<c8", 2))
npy("seven", values("<f4", 1, 1, 1, 1, 1, 1, 2))


def safetensors(name, tensors, meta=None, pad=0):
    head, data = {}, b""
    if meta:
        head["__metadata__"] = meta
    for key, code, shape, raw in tensors:
        head[key] = {
            "dtype": code,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(head).encode() + b" " * pad
    with open(os.path.join(HERE, name + ".safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


bf16 = (values("<f4", 4).view("<u4") >> 16).astype("<u2")
safetensors(
    "mixed",
    [
        ("w", "F32", [3, 4], values("<f4", 3, 4).tobytes()),
        ("a/\u00e9\u4e2d\U0001d11e\"\\", "F64", [2], values("<f8", 2).tobytes()),
        ("half", "F16", [5], values("<f2", 5).tobytes()),
        ("brain", "BF16", [2, 2], bf16.tobytes()),
        ("long", "I64", [3], values("<i8", 3).tobytes()),
        ("byte", "U8", [4], values("|u1", 4).tobytes()),
        ("flag", "BOOL", [6], values("?", 6).tobytes()),
        ("none", "F32", [0, 7], b""),
        ("one", "I32", [], values("<i4").tobytes()),
    ],
    {"format": "pt", "note": "tab\tline\n\u00e9"},
    pad=5,
)
