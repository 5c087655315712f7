#!/usr/bin/env python3
"""Makes the parity fixture: a two-layer Llama of random weights in PyTorch.

    apt-get install python3-torch        # Debian 12: torch 1.13, CPU
    /usr/bin/python3 testdata/parity/parity.py

For each of two models (own head, tied head) it writes beside itself
NAME.safetensors (weights, logits, every gradient) and NAME.json (config, ids,
targets, documents, loss, AdamW settings and ten losses, library versions).
The model is written out by hand from the Llama papers, with the names of
Hugging Face; nothing but torch is needed.
"""
import json
import math
import os
import platform
import struct

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIG = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=8, vocab_size=67, max_position_embeddings=64,
              rms_norm_eps=1e-5, rope_theta=10000.0)
DOCUMENTS = [23, 17]  # rows of the packed batch
ADAMW = dict(lr=3e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1)
STEPS = 10


def weights(tied, gen):
    c = CONFIG
    d, f, hd = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], d)}
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        shapes[p + "input_layernorm.weight"] = (d,)
        shapes[p + "self_attn.q_proj.weight"] = (c["num_attention_heads"] * hd, d)
        shapes[p + "self_attn.k_proj.weight"] = (c["num_key_value_heads"] * hd, d)
        shapes[p + "self_attn.v_proj.weight"] = (c["num_key_value_heads"] * hd, d)
        shapes[p + "self_attn.o_proj.weight"] = (d, c["num_attention_heads"] * hd)
        shapes[p + "post_attention_layernorm.weight"] = (d,)
        shapes[p + "mlp.gate_proj.weight"] = (f, d)
        shapes[p + "mlp.up_proj.weight"] = (f, d)
        shapes[p + "mlp.down_proj.weight"] = (d, f)
    shapes["model.norm.weight"] = (d,)
    if not tied:
        shapes["lm_head.weight"] = (c["vocab_size"], d)
    w = {}
    for name, shape in shapes.items():
        x = torch.randn(shape, generator=gen) * 0.2
        w[name] = (x + 1 if len(shape) == 1 else x).requires_grad_()
    return w


def norm(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + CONFIG["rms_norm_eps"]) * gain


def rope(x):  # [tokens, heads, dim]; halves rotate, as in Hugging Face
    n, _, dim = x.shape
    freq = CONFIG["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.outer(torch.arange(n, dtype=torch.float64), freq)
    cos, sin = angle.cos().float()[:, None], angle.sin().float()[:, None]
    a, b = x[..., :dim // 2], x[..., dim // 2:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attention(w, p, x):
    c, n = CONFIG, len(x)
    heads, kv, dim = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
    q = rope(F.linear(x, w[p + "q_proj.weight"]).view(n, heads, dim))
    k = rope(F.linear(x, w[p + "k_proj.weight"]).view(n, kv, dim)).repeat_interleave(heads // kv, 1)
    v = F.linear(x, w[p + "v_proj.weight"]).view(n, kv, dim).repeat_interleave(heads // kv, 1)
    score = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(dim)
    score = score.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf"))
    out = torch.einsum("hij,jhd->ihd", score.softmax(-1), v).reshape(n, heads * dim)
    return F.linear(out, w[p + "o_proj.weight"])


def forward(w, ids):  # one document
    h = w["model.embed_tokens.weight"][ids]
    for i in range(CONFIG["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = h + attention(w, p + "self_attn.", norm(h, w[p + "input_layernorm.weight"]))
        x = norm(h, w[p + "post_attention_layernorm.weight"])
        x = F.silu(F.linear(x, w[p + "mlp.gate_proj.weight"])) * F.linear(x, w[p + "mlp.up_proj.weight"])
        h = h + F.linear(x, w[p + "mlp.down_proj.weight"])
    return F.linear(norm(h, w["model.norm.weight"]), w.get("lm_head.weight", w["model.embed_tokens.weight"]))


def batch(w, ids, targets):
    logits = torch.cat([forward(w, doc) for doc in ids.split(DOCUMENTS)])
    return logits, F.cross_entropy(logits, targets, ignore_index=-1)


def save(path, tensors):
    head, at = {}, 0
    for name, x in tensors.items():
        head[name] = dict(dtype="F32", shape=list(x.shape), data_offsets=[at, at + 4 * x.numel()])
        at += 4 * x.numel()
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for x in tensors.values():
            f.write(x.detach().float().contiguous().numpy().astype("<f4").tobytes())


def make(name, tied, seed):
    gen = torch.Generator().manual_seed(seed)
    w = weights(tied, gen)
    ids = torch.randint(CONFIG["vocab_size"], (sum(DOCUMENTS),), generator=gen)
    targets, end = ids.roll(-1), 0
    for n in DOCUMENTS:  # the last token of a document predicts nothing
        end += n
        targets[end - 1] = -1
    logits, loss = batch(w, ids, targets)
    loss.backward()
    tensors = {k: v.detach().clone() for k, v in w.items()}
    tensors["logits"] = logits
    tensors.update({"grad." + k: v.grad.clone() for k, v in w.items()})
    save(os.path.join(HERE, name + ".safetensors"), tensors)

    decay = [v for v in w.values() if v.dim() == 2]
    rest = [v for v in w.values() if v.dim() == 1]
    opt = torch.optim.AdamW([dict(params=decay, weight_decay=ADAMW["weight_decay"]), dict(params=rest, weight_decay=0.0)],
                            lr=ADAMW["lr"], betas=(ADAMW["beta1"], ADAMW["beta2"]), eps=ADAMW["eps"])
    losses = []
    for _ in range(STEPS):
        opt.zero_grad()
        _, step_loss = batch(w, ids, targets)
        step_loss.backward()
        opt.step()
        losses.append(step_loss.item())
    with open(os.path.join(HERE, name + ".json"), "w") as f:
        json.dump(dict(config=dict(CONFIG, tie_word_embeddings=tied, model_type="llama", hidden_act="silu"),
                       ids=ids.tolist(), targets=targets.tolist(), documents=DOCUMENTS, loss=loss.item(),
                       adamw=ADAMW, losses=losses,
                       versions=dict(torch=torch.__version__, python=platform.python_version())), f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    make("untied", False, 1)
    make("tied", True, 2)
