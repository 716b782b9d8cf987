#!/usr/bin/env python3
"""Writes pytorch.json: a small perceptron's forward and backward pass.

    /usr/bin/python3 pytorch.py        (Debian's python3-torch)

float64 throughout, so that the figures are exact for a test in fp32. The
inputs and weights are multiples of 1/64 and so exact in fp16 too. PyTorch
keeps the weight of a linear layer as [out, in]; here it is written [in, out].
"""
import json
import torch

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
WIDTHS, BATCH = [6, 8, 5, 4], 9


def grid(*shape):
    return torch.randint(-64, 65, shape).double() / 64


layers = []
for i, o in zip(WIDTHS, WIDTHS[1:]):
    linear = torch.nn.Linear(i, o)
    linear.weight.data, linear.bias.data = grid(o, i), grid(o)
    layers += [linear, torch.nn.ReLU()]
model = torch.nn.Sequential(*layers[:-1])

x = grid(BATCH, WIDTHS[0]).requires_grad_(True)
labels = torch.randint(0, WIDTHS[-1], (BATCH,))
logits = model(x)
loss = torch.nn.functional.cross_entropy(logits, labels)
loss.backward()

flat = lambda t: t.detach().reshape(-1).tolist()
params = {}
for name, p in model.named_parameters():
    turn = (lambda t: t.t()) if p.dim() == 2 else (lambda t: t)
    params[name] = {"value": flat(turn(p)), "grad": flat(turn(p.grad))}
out = {
    "torch": torch.__version__, "widths": WIDTHS, "batch": BATCH, "x": flat(x), "labels": labels.tolist(),
    "logits": flat(logits), "loss": loss.item(), "dx": flat(x.grad), "params": params,
}

# Cross-entropy by itself, where stability matters: large and equal logits.
ce = []
for row, label in [([1000.0, 0.0, -1000.0], 0), ([1000.0, 0.0, -1000.0], 1), ([0.0, 0.0, 0.0], 2), ([-60000.0, -60001.0, -60002.0], 1), ([3.5, 3.5, -7.25], 1)]:
    t = torch.tensor([row], requires_grad=True)
    l = torch.nn.functional.cross_entropy(t, torch.tensor([label]))
    l.backward()
    ce.append({"logits": row, "label": label, "loss": l.item(), "grad": flat(t.grad)})
out["cross_entropy"] = ce

# Label smoothing, over a batch.
smooth = []
for smoothing in [0.0, 0.1, 0.5]:
    t = (grid(4, 5) * 8).requires_grad_(True)
    labels = torch.tensor([0, 4, 2, 2])
    l = torch.nn.functional.cross_entropy(t, labels, label_smoothing=smoothing)
    l.backward()
    smooth.append({"smoothing": smoothing, "logits": flat(t), "labels": labels.tolist(), "loss": l.item(), "grad": flat(t.grad)})
out["smooth"] = smooth
json.dump(out, open("pytorch.json", "w"), separators=(",", ":"))
