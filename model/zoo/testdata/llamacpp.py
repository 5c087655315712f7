"""Records what llama.cpp computes for the models of TestLlamaCpp.

    go test ./model/zoo -run TestLlamaCpp -peer DIR      writes DIR/NAME.gguf
    python llamacpp.py DIR > llamacpp.json

Needs xllamacpp (pip), whose library exports the C interface of llama.cpp. Keys
and values are cached in float32 and flash attention is off, so that what differs
from exact arithmetic is how the library multiplies blocks: with activations that
it rounds to 8 bits.
"""
import ctypes
import glob
import json
import os
import sys

import xllamacpp

IDS = [4, 0, 18, 4, 7, 200, 31, 99]


class Blob(ctypes.Structure):
    """A struct that is passed on as it is: room for any version of it."""

    _fields_ = [("bytes", ctypes.c_uint8 * 512)]


lib = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(xllamacpp.__file__), "*.so"))[0])
lib.llama_model_default_params.restype = Blob
lib.llama_context_default_params.restype = Blob
lib.llama_batch_get_one.restype = Blob
lib.llama_model_load_from_file.restype = ctypes.c_void_p
lib.llama_init_from_model.restype = ctypes.c_void_p
lib.llama_model_get_vocab.restype = ctypes.c_void_p
lib.llama_get_logits_ith.restype = ctypes.POINTER(ctypes.c_float)
lib.llama_backend_init()


def context_params():
    p = lib.llama_context_default_params()
    at = ctypes.cast(ctypes.pointer(p), ctypes.POINTER(ctypes.c_int32))
    # int32 13 is flash_attn_type (auto), 26 and 27 are type_k and type_v (F16).
    assert (at[13], at[26], at[27]) == (-1, 1, 1), "the struct has changed: see include/llama.h"
    at[13] = at[26] = at[27] = 0
    return p


def logits(path):
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    assert model, path
    ctx = lib.llama_init_from_model(ctypes.c_void_p(model), context_params())
    assert ctx, path
    ids = (ctypes.c_int32 * len(IDS))(*IDS)
    assert lib.llama_decode(ctypes.c_void_p(ctx), lib.llama_batch_get_one(ids, len(IDS))) == 0
    n = lib.llama_vocab_n_tokens(ctypes.c_void_p(lib.llama_model_get_vocab(ctypes.c_void_p(model))))
    row = lib.llama_get_logits_ith(ctypes.c_void_p(ctx), -1)
    return [float("%.7g" % row[i]) for i in range(n)]


out = {"generator": "llamacpp.py with xllamacpp " + xllamacpp.__version__ + " (llama.cpp of that day)", "ids": IDS, "logits": {}}
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.gguf"))):
    out["logits"][os.path.basename(path)[: -len(".gguf")]] = logits(path)
text = json.dumps(out, indent=1)
print(text.replace(",\n   ", ", ").replace("[\n   ", "[").replace("\n  ]", "]"))
