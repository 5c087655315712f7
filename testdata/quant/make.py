"""Writes expected.json: what ggml makes of random blocks and random values,
for compute/quant/parity_test.go, which repeats the rules of inputs below.

ggml is the libggml-base of the package pywhispercpp, called as it is: plain
scalar code, without fused multiply-adds. The package gguf, which has the same
formats in numpy, is a second witness of every decoded value."""

import ctypes
import glob
import hashlib
import importlib.metadata
import json
import os
import re

import gguf
import numpy as np

FORMATS = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11,
    "Q4_K": 12, "Q5_K": 13, "Q6_K": 14, "IQ4_NL": 20, "IQ4_XS": 23, "BF16": 30, "MXFP4": 39,
}
BLOCKS, GROUPS = 4096, 16  # random blocks of a format, and how many hashes they get
ROWS, COLS = 16, 1024  # encoded of each kind of values


def library():
    folder = os.path.dirname(os.path.dirname(gguf.__file__))
    return ctypes.CDLL(glob.glob(folder + "/pywhispercpp.libs/libggml-base-*")[0])


def words(seed, n):
    """n numbers of splitmix64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(seed, n):
    """In [-1/2, 1/2), 24 bits each, float64."""
    return (words(seed, n) >> np.uint64(40)).astype(np.float64) / 2**24 - 0.5


def values(kind, n):
    """Values to encode, float32, and the importance of their columns."""
    bell = sum(uniform(seed, n) for seed in range(1, 5))  # nearly normal, deviation 0.58
    coin = words(5, n)
    x = {
        "bell": bell / 32,
        "tails": bell * bell * bell / 8,
        "outliers": np.where(coin % 97 == 0, bell * 4, bell / 64),
        "positive": np.abs(bell) / 16 + 0.25,
        "negative": -np.abs(bell) / 16 - 0.25,
        "large": bell * 4096,
        "tiny": bell / 2**20,
        "sparse": np.where(coin % 13 == 0, bell, 0.0),
        "steps": np.floor(bell * 8) / 64,
        "groups": np.where(np.arange(n) // 16 % 5 == 0, 0.0, bell) * 2.0 ** -(np.arange(n) // 32 % 12),
    }[kind].astype(np.float32)
    weights = (uniform(6, COLS) + 0.5).astype(np.float32)
    return x.reshape(ROWS, COLS), np.square(weights)


KINDS = ["bell", "tails", "outliers", "positive", "negative", "large", "tiny", "sparse", "steps", "groups"]


def digest(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:16]


class Ggml:
    def __init__(self):
        self.lib = library()
        self.lib.ggml_quantize_chunk.restype = ctypes.c_size_t

    def decode(self, name, blocks, n):
        out = np.empty(n, np.float32)
        args = (blocks.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(n))
        if name == "F32":
            out[:] = blocks.view(np.float32)
        elif name == "F16":
            self.lib.ggml_fp16_to_fp32_row(*args)
        elif name == "BF16":
            self.lib.ggml_bf16_to_fp32_row(*args)
        else:
            getattr(self.lib, "dequantize_row_" + name.replace("IQ", "iq").replace("Q", "q").replace("MXFP", "mxfp").replace("NL", "nl").replace("XS", "xs"))(*args)
        return out

    def encode(self, name, x, size, weights=None):
        out = np.zeros(size * x.shape[0], np.uint8)
        at = None if weights is None else weights.ctypes.data_as(ctypes.c_void_p)
        wrote = self.lib.ggml_quantize_chunk(
            FORMATS[name], x.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(0), ctypes.c_int64(x.shape[0]), ctypes.c_int64(x.shape[1]), at)
        assert wrote == out.size, (name, wrote, out.size)
        return out


def plain(y):
    """Bits of values, all NaN as one."""
    bits = y.view(np.uint32).copy()
    bits[np.isnan(y)] = 0x7FC00000
    return bits


def error(x, y):
    """Relative root mean square error."""
    x, y = x.astype(np.float64).ravel(), y.astype(np.float64)
    return float(np.sqrt(np.sum((x - y) ** 2) / np.sum(x**2)))


def main():
    ggml = Ggml()
    result = {}
    for name, id in FORMATS.items():
        length, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(id)]
        count = BLOCKS if length > 1 else 65536
        if name in ("F16", "BF16"):
            raw = np.arange(65536, dtype=np.uint16).view(np.uint8)
        else:
            raw = words(100 + id, count * size // 8 + 1).view(np.uint8)[: count * size].copy()
        y = ggml.decode(name, raw, count * length)
        with np.errstate(all="ignore"):
            second = gguf.dequantize(raw.reshape(-1, size), gguf.GGMLQuantizationType(id)).ravel()
        assert np.array_equal(plain(y), plain(second)), name
        entry = {
            "id": id, "values": length, "bytes": size,
            "first": plain(y[:length]).astype(">u4").tobytes().hex(),
            "decode": [digest(plain(part)) for part in np.split(y, GROUPS)],
            "encode": {},
        }
        for kind in KINDS:
            x, weights = values(kind, ROWS * COLS)
            row = size * (COLS // length)
            for label, w in ((kind, None), (kind + ", weighted", weights)):
                b = ggml.encode(name, x, row, w)
                entry["encode"][label] = [digest(b), error(x, ggml.decode(name, b, x.size))]
        result[name] = entry
    versions = {p: importlib.metadata.version(p) for p in ("gguf", "numpy", "pywhispercpp")}
    versions["ggml"] = glob.glob(os.path.dirname(os.path.dirname(gguf.__file__)) + "/pywhispercpp.libs/libggml-base-*")[0].split(".so.")[1]
    inputs = {kind: digest(values(kind, ROWS * COLS)[0]) for kind in KINDS}
    inputs["importance"] = digest(values("bell", ROWS * COLS)[1])
    text = json.dumps({"versions": versions, "inputs": inputs, "formats": result}, indent=1)
    print(re.sub(r"\[\s+([^\[\]]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text))


main()
