#!/usr/bin/env python3
"""Writes operations.json: what PyTorch makes of the operations and losses of package nn.

    /usr/bin/python3 operations.py        (Debian's python3-torch)

float64 throughout. Inputs are odd multiples of 1/128 and so exact in fp16. The first
dimension of each shape is the batch. The weight of a linear layer is written [in, out].
"""
import json
import torch
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
ROWS = 2


def grid(*shape):
    return (2 * torch.randint(-192, 192, shape) + 1).double() / 128


def flat(t):
    return [float("%.13g" % v) for v in t.detach().double().reshape(-1).tolist()]


def operation(name, function, shapes, params=()):
    inputs = [grid(ROWS, *s).requires_grad_(True) for s in shapes]
    weights = [grid(*s).requires_grad_(True) for s in params]
    out = function(*inputs, *weights)
    dout = grid(*out.shape)
    out.backward(dout)
    return {
        "name": name, "shapes": shapes, "in": [flat(x) for x in inputs], "params": [flat(w) for w in weights],
        "out": flat(out), "dout": flat(dout), "grads": [flat(x.grad) for x in inputs], "dparams": [flat(w.grad) for w in weights],
    }


OPERATIONS = [
    ("Linear", lambda x, w, b: x @ w + b, [[2, 3]], [[3, 4], [4]]),
    ("Bias", lambda x, b: x + b, [[2, 3]], [[3]]),
    ("ReLU", F.relu, [[3, 4]]),
    ("Sigmoid", torch.sigmoid, [[3, 4]]),
    ("Tanh", torch.tanh, [[3, 4]]),
    ("SiLU", F.silu, [[3, 4]]),
    ("GELU", F.gelu, [[3, 4]]),
    ("GELUTanh", lambda x: F.gelu(x, approximate="tanh"), [[3, 4]]),
    ("Softmax", lambda x: torch.softmax(x, -1), [[3, 4]]),
    ("Add", torch.add, [[3, 4]] * 2),
    ("Multiply", torch.mul, [[3, 4]] * 2),
    ("Scale", lambda x: x * 0.375, [[3, 4]]),
    ("Concat 1", lambda *xs: torch.cat(xs, 2), [[2, 3], [2, 1], [2, 2]]),
    ("Concat 0", lambda *xs: torch.cat(xs, 1), [[1, 2], [3, 2]]),
    ("Transpose 2 0 1", lambda x: x.permute(0, 3, 1, 2), [[2, 3, 4]]),
    ("Slice 1 1 3", lambda x: x[:, :, 1:3], [[2, 4, 3]]),
    ("Sum 0 2", lambda x: x.sum((1, 3)), [[2, 3, 4]]),
    ("Mean 1", lambda x: x.mean(2), [[2, 3, 4]]),
    ("Mean", lambda x: x.mean((1, 2)), [[3, 5]]),
]

with open("operations.json", "w") as f:
    json.dump({"torch": torch.__version__, "rows": ROWS, "operations": [operation(*o) for o in OPERATIONS]}, f, separators=(",", ":"))
    f.write("\n")
