#!/usr/bin/env python3
"""Makes the parity fixtures: a tiny Llama of random weights, and adapters that
PEFT has written for it.

    python3 -m venv venv && venv/bin/pip install torch transformers peft safetensors
    venv/bin/python model/lora/testdata/adapters.py

Beside itself it writes base/ (config.json, model.safetensors) and, for each
adapter, a folder as PEFT saves it, with parity.safetensors in it: the logits of
the adapted model (logits), of the merged one (merged), and the gradient of each
parameter of the adapter for the mean loss of the ids (grad.NAME). versions.json
holds the ids, the losses and the versions of the libraries. plain.gguf was made
of plain/ by llama.cpp (gguf-py 0.19.0), in this folder:

    python convert_lora_to_gguf.py plain --base base --outtype f32 --outfile plain.gguf
"""
import json
import os
import platform

import peft
import safetensors
import torch
import transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
IDS = [1, 17, 42, 5, 5, 60, 33, 8, 0, 29, 51, 12, 3]
EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "plain": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    "patterns": dict(r=6, lora_alpha=12, use_rslora=True, target_modules=EVERY, lora_dropout=0.05,
                     rank_pattern={"down_proj": 3, r"layers\.1\.self_attn\.[qk]_proj": 2, "model.layers.0.self_attn.o_proj": 5},
                     alpha_pattern={r"^model\.layers\.0\.mlp\.(up|gate)_proj": 20, "k_proj": 1}),
    "head": dict(r=2, lora_alpha=3, target_modules=["up_proj", "lm_head"]),
}


def base():
    config = transformers.LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=61, max_position_embeddings=192, initializer_range=0.3, rms_norm_eps=1e-6,
        tie_word_embeddings=False, attention_dropout=0.0, bos_token_id=None, eos_token_id=None, pad_token_id=None)
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.normal_(0, 0.3)
    model.config._name_or_path = "weft/parity-base"
    model.name_or_path = "weft/parity-base"
    return model


def run(model, ids):
    return model(input_ids=ids).logits[0]


def make(name, settings, ids):
    model = base()
    if name == "plain":
        model.save_pretrained(os.path.join(HERE, "base"))
        os.remove(os.path.join(HERE, "base", "generation_config.json"))
    config = peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings)
    adapted = peft.get_peft_model(model, config).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for key, p in adapted.named_parameters():
            if "lora_" in key:
                p.normal_(0, 0.2)
    dest = os.path.join(HERE, name)
    adapted.save_pretrained(dest)
    logits = run(adapted, ids)
    loss = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
    loss.backward()
    out = {"logits": logits.detach().contiguous()}
    for key, p in adapted.named_parameters():
        if p.requires_grad:
            out["grad." + key.replace(".default", "")] = p.grad.contiguous()
    merged = adapted.merge_and_unload()
    with torch.no_grad():
        out["merged"] = run(merged, ids).contiguous()
    save_file(out, os.path.join(dest, "parity.safetensors"))
    readme = os.path.join(dest, "README.md")
    if os.path.exists(readme):
        os.remove(readme)
    return loss.item()


def main():
    ids = torch.tensor([IDS])
    losses = {name: make(name, settings, ids) for name, settings in ADAPTERS.items()}
    info = dict(ids=IDS, losses=losses, versions=dict(
        python=platform.python_version(), torch=torch.__version__, transformers=transformers.__version__,
        peft=peft.__version__, safetensors=safetensors.__version__))
    with open(os.path.join(HERE, "versions.json"), "w") as f:
        json.dump(info, f, indent=1)
        f.write("\n")


main()
