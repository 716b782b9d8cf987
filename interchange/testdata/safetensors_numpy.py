# The format of safetensors from its documentation alone
# (https://huggingface.co/docs/safetensors): eight bytes of header length, little
# endian, the header in JSON, the data. In NumPy, which has no bf16: a tensor is saved
# as BF16 where its name is in bf16, from the upper halves of its float32 elements.
import json

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def load(path):
    with open(path, "rb") as f:
        raw = f.read()
    n = int.from_bytes(raw[:8], "little")
    header, data = json.loads(raw[8 : 8 + n]), raw[8 + n :]
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], TYPES[t["dtype"]]).reshape(t["shape"])
    return tensors, metadata


def save(path, tensors, metadata=None, bf16=()):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, a in tensors.items():
        a = np.asarray(a)
        if name in bf16:
            dtype, raw = "BF16", (a.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        else:
            dtype = next(d for d, t in TYPES.items() if np.dtype(t) == a.dtype)
            raw = a.tobytes()
        header[name] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)
