#!/usr/bin/env python3
"""Makes the parity fixtures of the families: tiny random models in transformers.

    pip install torch transformers
    python testdata/parity/families.py

For each family it writes beside itself families/NAME.safetensors (weights,
logits, every gradient) and families/NAME.json (config as transformers saves it,
ids, targets, documents, loss, versions), and rope.json: for many rotations the
config and what ROPE_INIT_FUNCTIONS makes of it.
"""
import json
import os
import platform
import tempfile

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from parity import save

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENTS = [23, 17]  # rows of the packed batch
SIZES = dict(hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=40, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=None)
SMALL = dict(SIZES, hidden_size=16)
FAMILIES = {
    "qwen2": ("qwen2", dict(SMALL, tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e6))),
    "qwen2-window": ("qwen2", dict(SMALL, use_sliding_window=True, sliding_window=6, max_window_layers=1)),
    "qwen3": ("qwen3", dict(SMALL, head_dim=8)),
    "mistral": ("mistral", dict(SMALL, sliding_window=6)),
    "phi3": ("phi3", dict(SIZES, sliding_window=9, original_max_position_embeddings=8, rope_parameters=dict(
        rope_type="longrope", rope_theta=1e4, partial_rotary_factor=0.5, original_max_position_embeddings=8,
        short_factor=[1.0, 1.25], long_factor=[1.5, 4.25]))),
    "smollm3": ("smollm3", dict(SMALL, tie_word_embeddings=True, no_rope_layers=[0, 1])),
    "llama3-rope": ("llama", dict(SIZES, rope_parameters=dict(
        rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16))),
    "llama-yarn": ("llama", dict(SIZES, rope_parameters=dict(
        rope_type="yarn", rope_theta=1e4, factor=4.0, original_max_position_embeddings=16))),
}


def documents(model, ids):
    return torch.cat([model(input_ids=doc[None]).logits[0] for doc in ids.split(DOCUMENTS)])


def versions():
    return dict(torch=torch.__version__, transformers=transformers.__version__, python=platform.python_version())


def saved(config):
    """The config.json that transformers writes beside such a model."""
    with tempfile.TemporaryDirectory() as dir:
        config.save_pretrained(dir)
        with open(os.path.join(dir, "config.json")) as f:
            return json.load(f)


def make(name, kind, sizes, seed):
    gen = torch.Generator().manual_seed(seed)
    config = AutoConfig.for_model(kind, **sizes)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    config.architectures = [type(model).__name__]
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for w in weights.values():
            w.copy_(torch.randn(w.shape, generator=gen) * 0.2 + (1 if w.dim() == 1 else 0))
    ids = torch.randint(sizes["vocab_size"], (sum(DOCUMENTS),), generator=gen)
    targets, end = ids.roll(-1), 0
    for n in DOCUMENTS:  # the last token of a document predicts nothing
        end += n
        targets[end - 1] = -1
    logits = documents(model, ids)
    loss = torch.nn.functional.cross_entropy(logits, targets, ignore_index=-1)
    loss.backward()
    tensors = {k: v.detach().clone() for k, v in weights.items()}
    tensors["logits"] = logits
    tensors.update({"grad." + k: v.grad.clone() for k, v in weights.items()})
    save(os.path.join(HERE, "families", name + ".safetensors"), tensors)
    with open(os.path.join(HERE, "families", name + ".json"), "w") as f:
        json.dump(dict(config=saved(config), ids=ids.tolist(), targets=targets.tolist(), documents=DOCUMENTS,
                       loss=loss.item(), versions=versions()), f, indent=1)
        f.write("\n")


def rotations():
    """Published rotations, and one of each kind; length is the sequence's."""
    shape = dict(hidden_size=2048, intermediate_size=64, num_hidden_layers=1, num_attention_heads=32, vocab_size=40)
    long = [1.0 + i * i / 300 for i in range(32)]
    short = [1.0 + i / 100 for i in range(32)]
    llama3 = dict(rope_type="llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192, rope_theta=5e5)
    yarn = dict(rope_type="yarn", rope_theta=1e6, original_max_position_embeddings=32768)
    return [
        ("plain", 4096, dict(rope_type="default", rope_theta=1e4)),
        ("Llama 3.1", 131072, dict(llama3, factor=8.0)),
        ("Llama 3.2", 131072, dict(llama3, factor=32.0)),
        ("linear", 4096, dict(rope_type="linear", factor=2.5, rope_theta=1e4)),
        ("dynamic, short", 4096, dict(rope_type="dynamic", factor=4.0, rope_theta=1e4)),
        ("dynamic, long", 16384, dict(rope_type="dynamic", factor=4.0, rope_theta=1e4, original_max_position_embeddings=4096)),
        ("Qwen2.5 yarn", 32768, dict(yarn, factor=4.0)),
        ("yarn, stretched already", 131072, dict(yarn, factor=4.0)),
        ("yarn with betas", 4096, dict(yarn, factor=16.0, beta_fast=24.0, beta_slow=2.0, attention_factor=1.5, original_max_position_embeddings=512)),
        ("yarn with mscale", 4096, dict(yarn, factor=40.0, mscale=1.0, mscale_all_dim=0.707, original_max_position_embeddings=4096)),
        ("yarn untruncated", 4096, dict(yarn, factor=32.0, truncate=False, original_max_position_embeddings=4096)),
        ("longrope, long", 131072, dict(rope_type="longrope", rope_theta=1e4, long_factor=long, short_factor=short, original_max_position_embeddings=4096)),
        ("longrope, short", 4096, dict(rope_type="longrope", rope_theta=1e4, long_factor=long, short_factor=short, original_max_position_embeddings=4096)),
        ("longrope with factor", 8192, dict(rope_type="longrope", rope_theta=1e4, long_factor=long, short_factor=short, factor=3.0,
                                             original_max_position_embeddings=2048)),
        ("longrope with attention factor", 8192, dict(rope_type="longrope", rope_theta=1e4, long_factor=long, short_factor=short,
                                                       attention_factor=1.19, original_max_position_embeddings=4096)),
    ], shape


def rope():
    all, shape = rotations()
    out = []
    for name, positions, parameters in all:
        config = AutoConfig.for_model("llama", **shape, max_position_embeddings=positions, rope_parameters=dict(parameters))
        if parameters["rope_type"] == "default":
            freqs = 1.0 / 1e4 ** (torch.arange(0, 64, 2).float() / 64)
            scale = 1.0
        else:
            before = config.max_position_embeddings
            if name == "dynamic, long":  # transformers starts from max_position_embeddings and looks at the sequence
                config.max_position_embeddings = parameters["original_max_position_embeddings"]
            freqs, scale = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu", seq_len=positions)
            config.max_position_embeddings = before
        out.append(dict(name=name, config=saved(config), inv_freq=[float("%.9g" % f) for f in freqs], attention_factor=scale))
    with open(os.path.join(HERE, "families", "rope.json"), "w") as f:
        json.dump(dict(versions=versions(), rotations=out), f)
        f.write("\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.makedirs(os.path.join(HERE, "families"), exist_ok=True)
    for seed, (name, (kind, sizes)) in enumerate(FAMILIES.items(), 1):
        make(name, kind, sizes, seed)
    rope()
