#!/usr/bin/env python3
"""Writes pytorch.json: schedules, and short runs with what a trainer may add to a step.

    /usr/bin/python3 pytorch.py        (Debian's python3-torch)

float64 throughout. Weights are written [in, out].
"""
import json
import warnings
import torch

warnings.filterwarnings("ignore")
torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
S = torch.optim.lr_scheduler


def rates(make, steps):
    opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule, out = make(opt), []
    for _ in range(steps):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step()
    return out


# A rate of 0.1; each is asked for one rate a step.
schedules = {
    "step": rates(lambda o: S.StepLR(o, step_size=4, gamma=0.3), 15),
    "cosine": rates(lambda o: S.CosineAnnealingLR(o, T_max=20, eta_min=0.01), 21),
    "onecycle": rates(lambda o: S.OneCycleLR(o, max_lr=0.1, total_steps=20, cycle_momentum=False), 20),
    "onecycle long": rates(lambda o: S.OneCycleLR(o, max_lr=0.1, total_steps=1001, cycle_momentum=False), 1001),
    "warmup cosine": rates(lambda o: S.ChainedScheduler([S.CosineAnnealingLR(o, T_max=20), S.LinearLR(o, start_factor=1 / 5, total_iters=4)]), 20),
}

grid = lambda *shape: torch.randint(-64, 65, shape).double() / 64
START = [grid(3, 4), grid(4), grid(4, 2), grid(2)]
SIZES = [3, 2] * 6  # of the batches
BATCHES = [(grid(n, 3) * 2, torch.randint(0, 2, (n,))) for n in SIZES]
flat = lambda ts: [v for t in ts for v in t.detach().reshape(-1).tolist()]


def run(window=1, norm=0.0, value=0.0, smoothing=0.0, weight=1.0, decay=0.0):
    w1, b1, w2, b2 = params = [p.clone().requires_grad_(True) for p in START]
    average = [p.clone() for p in START]
    opt, losses, norms, steps = torch.optim.SGD(params, lr=0.1, momentum=0.9), [], [], 0
    for i in range(0, len(BATCHES), window):
        x = torch.cat([b[0] for b in BATCHES[i:i + window]])
        labels = torch.cat([b[1] for b in BATCHES[i:i + window]])
        opt.zero_grad()
        logits = torch.relu(x @ w1 + b1) @ w2 + b2
        loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        (loss * weight).backward()
        if value:
            torch.nn.utils.clip_grad_value_(params, value)
        if norm:
            norms.append(torch.nn.utils.clip_grad_norm_(params, norm).item())
        opt.step()
        losses.append(loss.item())
        steps += 1
        d = min(decay, (1 + steps) / (10 + steps))
        average = [d * a + (1 - d) * p.detach() for a, p in zip(average, params)]
    return {"losses": losses, "norms": norms, "weights": flat(params), "average": flat(average)}


runs = {
    "plain": run(),
    "clipped by norm": run(norm=0.25),
    "clipped by value": run(value=0.05),
    "clipped by both": run(value=0.1, norm=0.15),
    "accumulated": run(window=2),
    "accumulated, clipped": run(window=2, norm=0.2),
    "smoothed": run(smoothing=0.2),
    "weighted": run(weight=0.125),
    "averaged": run(decay=0.3),
}
for name in runs:
    assert name == "plain" or name == "averaged" or runs[name]["weights"] != runs["plain"]["weights"], name
json.dump({
    "torch": torch.__version__, "schedules": schedules, "start": flat(START), "sizes": SIZES,
    "x": [flat([x]) for x, _ in BATCHES], "labels": [l.tolist() for _, l in BATCHES], "runs": runs,
}, open("pytorch.json", "w"), separators=(",", ":"))
