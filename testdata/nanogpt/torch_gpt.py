"""The other side of the throughput comparison: PyTorch on CPU, on the setting
that nanoGPT's README documents for machines without a GPU.

A GPT of 4 layers, 4 heads, width 128, block 64, batch 12, no dropout, AdamW,
trained on the characters of one text file. The text's first 90 % train.
Own code, written for this measurement: fused attention
(scaled_dot_product_attention), one matrix for q, k and v, tied head, AdamW in
its fastest CPU form, no evaluation inside the timed loop. It prints one JSON
line: versions, threads, tokens per second (median step), final loss.

usage: torch_gpt.py TEXT [--steps 200] [--threads 2] [--eval]
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn as nn
from torch.nn import functional as F

LAYERS, HEADS, WIDTH, BLOCK, BATCH = 4, 4, 128, 64, 12


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:  # PyTorch 1.x
            mask = torch.full((t, t), -math.inf).triu(1)
            y = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) + mask, dim=-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, t, WIDTH))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocab, WIDTH), nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                scale = 1 / math.sqrt(2 * LAYERS) if name.endswith(("out.weight", "down.weight")) else 1
                nn.init.normal_(p, std=0.02 * scale)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.tokens.weight.T
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.reshape(-1))


def main():
    arg = argparse.ArgumentParser()
    arg.add_argument("text")
    arg.add_argument("--steps", type=int, default=200)
    arg.add_argument("--threads", type=int, default=2)
    arg.add_argument("--eval", action="store_true")
    opt = arg.parse_args()
    torch.set_num_threads(opt.threads)
    torch.manual_seed(1337)

    raw = open(opt.text, encoding="utf-8").read()
    alphabet = {c: i for i, c in enumerate(sorted(set(raw)))}
    data = torch.tensor([alphabet[c] for c in raw])
    train, held = data[: int(len(data) * 0.9)], data[int(len(data) * 0.9) :]

    def batch(part):
        at = torch.randint(len(part) - BLOCK, (BATCH,)).tolist()
        return torch.stack([part[i : i + BLOCK] for i in at]), torch.stack([part[i + 1 : i + 1 + BLOCK] for i in at])

    model = GPT(len(alphabet))
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    try:
        adam = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    except (RuntimeError, TypeError):
        adam = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))

    seconds, loss = [], None
    for step in range(opt.steps):
        start = time.perf_counter()
        warm = min(1.0, (step + 1) / 100)
        share = max(0.0, (step - 100) / max(1, opt.steps - 100))
        for g in adam.param_groups:
            g["lr"] = warm * (1e-4 + 0.5 * (1 + math.cos(math.pi * share)) * 9e-4)
        loss = model(*batch(train))
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        seconds.append(time.perf_counter() - start)
    out = {
        "torch": torch.__version__,
        "threads": opt.threads,
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_per_second": round(BATCH * BLOCK / statistics.median(seconds[10:])),
        "train_loss": round(loss.item(), 4),
    }
    if opt.eval:
        with torch.no_grad():
            out["val_loss"] = round(statistics.mean(model(*batch(held)).item() for _ in range(200)), 4)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
