# PyTorch, on the other side of the exchange.
#
#   torch_peer.py logits WEIGHTS INPUT OUTPUT LAYER...
#
# loads the state dict WEIGHTS into torch.nn.Sequential(LAYER, ...), where a LAYER is
# ReLU(), Linear(3, 2) and so on, and writes its logits, in float64, for the tensor "x"
# in INPUT.
#
#   torch_peer.py train FOLDER
#
# trains a network, and writes its state dict as FOLDER/<type>.safetensors in each
# type, with the logits of these weights, in float64, for an input in
# FOLDER/<type>-logits.safetensors. FOLDER/new.pt and FOLDER/old.pt are what torch.save
# makes of it, in both of its forms.
import sys

import numpy as np
import torch
from torch import nn

from safetensors_numpy import load, save


class Net(nn.Module):
    # The layers are registered in an order that is neither that of computation nor
    # that of the alphabet.
    def __init__(self):
        super().__init__()
        self.fc10 = nn.Linear(24, 5)
        self.fc2 = nn.Linear(31, 24, bias=False)
        self.fc1 = nn.Linear(20, 31)

    def forward(self, x):
        return self.fc10(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def logits(weights, given, out, *layers):
    state, metadata = load(weights)
    assert metadata["format"] == "pt", metadata
    model = nn.Sequential(*(eval("nn." + layer) for layer in layers)).double().eval()
    model.load_state_dict({name: torch.from_numpy(a.astype("f8")) for name, a in state.items()}, strict=True)
    x = torch.from_numpy(load(given)[0]["x"].astype("f8"))
    with torch.no_grad():
        save(out, {"logits": model(x).numpy()})


def train(folder):
    torch.manual_seed(1)
    model = Net()
    x, labels = torch.randn(256, 20), torch.randint(5, (256,))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
    torch.save(model.state_dict(), f"{folder}/new.pt")
    torch.save(model.state_dict(), f"{folder}/old.pt", _use_new_zipfile_serialization=False)
    for name, dtype in {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64}.items():
        net = Net()
        net.load_state_dict({k: v.to(dtype) for k, v in model.state_dict().items()})
        weights = {k: v.numpy() for k, v in net.state_dict().items()}  # of this type, in fp32
        if dtype in (torch.float16, torch.float64):
            weights = {k: v.astype(np.float16 if dtype == torch.float16 else np.float64) for k, v in weights.items()}
        save(f"{folder}/{name}.safetensors", weights, bf16=weights if dtype == torch.bfloat16 else ())
        with torch.no_grad():
            save(f"{folder}/{name}-logits.safetensors", {"x": x.numpy(), "logits": net.double()(x.double()).numpy()})


{"logits": logits, "train": train}[sys.argv[1]](*sys.argv[2:])
