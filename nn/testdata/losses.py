#!/usr/bin/env python3
"""Writes losses.json: losses of PyTorch and their gradients by the outputs.

    /usr/bin/python3 losses.py        (Debian's python3-torch)

float64 throughout. Outputs and targets are multiples of 1/64 and so exact in fp16 too, but
for a few outputs that are large. PyTorch wants the classes second, halfgrad last.
"""
import json
import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
flat = lambda t: t.detach().reshape(-1).tolist()
grid = lambda *shape: torch.randint(-256, 257, shape).double() / 64
cases = []


def case(loss, outputs, targets, value, **settings):
    value.backward()
    cases.append({"loss": loss, "shape": list(outputs.shape[1:]), "outputs": flat(outputs), "targets": flat(targets.double()),
                  "value": value.item(), "gradient": flat(outputs.grad), **settings})


WEIGHTS = [0.5, 2.0, 0.0, 1.25, 3.0]
for shape in [(6,), (3, 2, 2)]:
    for smoothing in [0.0, 0.1, 0.75]:
        for weights in [None, WEIGHTS]:
            for ignored in [0, 2]:
                z = grid(*shape, 5).requires_grad_(True)
                t = torch.randint(0, 5, shape)
                t.view(-1)[1] = 4
                t.view(-1)[2:2 + ignored] = -1
                value = F.cross_entropy(z.reshape(-1, 5), t.reshape(-1), ignore_index=-1, label_smoothing=smoothing,
                                        weight=None if weights is None else torch.tensor(weights))
                case("cross-entropy", z, t, value, smoothing=smoothing, weights=weights)
for row, label in [([1000.0, 0.0, -1000.0], 0), ([1000.0, 0.0, -1000.0], 1), ([0.0, 0.0, 0.0], 2), ([-60000.0, -60032.0, -60064.0], 1)]:
    z = torch.tensor([row], requires_grad=True)
    t = torch.tensor([label])
    case("cross-entropy", z, t, F.cross_entropy(z, t), smoothing=0.0, weights=None)

for shape in [(5, 1), (4, 3, 2)]:
    z, t = grid(*shape).requires_grad_(True), grid(*shape)
    case("mse", z, t, F.mse_loss(z, t))
    for delta in [1.0, 0.25, 2.5]:
        z, t = grid(*shape).requires_grad_(True), grid(*shape)
        case("huber", z, t, F.huber_loss(z, t, delta=delta), delta=delta)
    for weight in [1.0, 0.25, 3.0]:
        z, t = (4 * grid(*shape)).requires_grad_(True), torch.randint(0, 65, shape).double() / 64
        t.view(-1)[:2] = torch.tensor([0.0, 1.0])
        case("bce", z, t, F.binary_cross_entropy_with_logits(z, t, pos_weight=torch.tensor(weight)), weight=weight)
json.dump({"torch": torch.__version__, "cases": cases}, open("losses.json", "w"), separators=(",", ":"))
