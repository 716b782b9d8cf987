#!/usr/bin/env python3
"""Writes pytorch.json: what torch.optim makes of a fixed run of gradients.

    /usr/bin/python3 pytorch.py        (Debian's python3-torch)

Each case holds the weights after every step. float32 throughout, as the
optimizers under test; the gradients of every step are the same in all cases.
"""
import json
import torch

torch.manual_seed(1)
STEPS, N = 12, 7
start = torch.randn(N)
grads = [torch.randn(N) * 10.0 ** torch.randint(-3, 2, (N,)) for _ in range(STEPS)]
grads[4][2] = 0.0

CASES = {
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "sgd momentum": (torch.optim.SGD, dict(lr=0.05, momentum=0.9)),
    "sgd momentum decay": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01)),
    "sgd nesterov decay": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True)),
    "adam": (torch.optim.Adam, dict(lr=0.01)),
    "adam decay": (torch.optim.Adam, dict(lr=0.01, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01)),
    "adamw decay": (torch.optim.AdamW, dict(lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
}

out = {"torch": torch.__version__, "start": start.tolist(), "grads": [g.tolist() for g in grads], "cases": {}}
for name, (cls, kwargs) in CASES.items():
    w = start.clone().requires_grad_(True)
    opt = cls([w], **kwargs)
    weights = []
    for g in grads:
        w.grad = g.clone()
        opt.step()
        weights.append(w.detach().tolist())
    out["cases"][name] = weights

# Parameter groups: the first four elements are a parameter with all options, the
# last three a bias with half of the learning rate and no decay.
out["groups"] = {}
for name in ["sgd momentum decay", "sgd nesterov decay", "adam decay", "adamw decay"]:
    cls, kwargs = CASES[name]
    w, b = start[:4].clone().requires_grad_(True), start[4:].clone().requires_grad_(True)
    opt = cls([{"params": [w]}, {"params": [b], "lr": kwargs["lr"] / 2, "weight_decay": 0.0}], **kwargs)
    for g in grads:
        w.grad, b.grad = g[:4].clone(), g[4:].clone()
        opt.step()
    out["groups"][name] = w.detach().tolist() + b.detach().tolist()
json.dump(out, open("pytorch.json", "w"), separators=(",", ":"))
