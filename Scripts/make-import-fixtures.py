#!/usr/bin/env python3
"""Make the small checkpoints in Tests/Golden/import: one model saved in every way that torch knows and that CPM-Ant
checkpoints have been seen in, and some files that must be refused.

Needs torch and safetensors. The numbers are random but fit bfloat16, so every form holds the same ones.

    python3 Scripts/make-import-fixtures.py Tests/Golden/import
"""
import io
import json
import os
import pickle
import sys
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file

from reference_model import shapes

CONFIG = {
    "vocab_size": 40, "dim_model": 16, "dim_ff": 20, "num_layers": 2, "num_heads": 2, "dim_head": 12,
    "dropout_p": 0.0, "position_bias_num_buckets": 8, "position_bias_max_distance": 32, "eps": 1e-6, "half": True,
    "prompt_types": 2, "prompt_length": 4, "segment_types": 3, "norm_eps": 1e-6, "att_mask_value": "-inf", "tied": True,
}


def state():
    generator = torch.Generator().manual_seed(20260901)
    attention, feed_forward, others = shapes(CONFIG)

    def numbers(shape):
        return torch.randn(*shape, generator=generator).to(torch.bfloat16).float()

    result = OrderedDict()
    for layer in range(CONFIG["num_layers"]):
        # Both norms stand in front of the matrices.
        for name, shape in sorted((attention | feed_forward).items(), key=lambda item: len(item[1])):
            result[name.format(layer)] = numbers(shape)
    result.update((name, numbers(shape)) for name, shape in others.items())
    return result


def column_major(tensor):
    """As do_prune.py leaves them: a transposed view of the contiguous transpose."""
    return tensor.t().contiguous().t() if tensor.dim() == 2 else tensor


def sliced(tensor):
    """A window of a larger storage: offset, and rows further apart than they are long."""
    if tensor.dim() == 1:
        room = torch.full((tensor.numel() + 7,), float("nan"))
        room[3:3 + tensor.numel()] = tensor
        return room[3:3 + tensor.numel()]
    rows, columns = tensor.shape
    room = torch.full((rows + 3, columns + 5), float("nan"))
    room[2:2 + rows, 1:1 + columns] = tensor
    return room[2:2 + rows, 1:1 + columns]


def every_other(tensor):
    """Neither rows nor columns are neighbours."""
    if tensor.dim() == 1:
        return sliced(tensor)
    rows, columns = tensor.shape
    room = torch.full((rows * 2, columns * 3), float("nan"))
    room[::2, ::3] = tensor
    return room[::2, ::3]


def in_one_storage(tensors):
    room = torch.cat([t.reshape(-1) for t in tensors.values()])
    result, offset = OrderedDict(), 0
    for name, tensor in tensors.items():
        result[name] = room[offset:offset + tensor.numel()].view(tensor.shape)
        offset += tensor.numel()
    return result


def bmcook(tensors):
    """What `bmcook.save(mode="quant")` makes of the linear weights."""
    result = OrderedDict()
    for name, tensor in tensors.items():
        if name.endswith("embedding.weight") or tensor.dim() == 1 or "bias" in name:
            result[name] = tensor.half()
            continue
        scale = (tensor.abs().amax(dim=1) / 127).half()
        result[name + "_quant"] = torch.clamp(torch.round(tensor / scale.float()[:, None]), -127, 127).to(torch.int8)
        result[name + "_scale"] = scale
    return result


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def archive(path, pickled, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as out:
        out.writestr("archive/data.pkl", pickled)
        out.writestr("archive/version", "3\n")


def main(folder):
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    tensors = state()
    with open("config.json", "w") as out:
        json.dump(CONFIG, out, indent=1)

    save_file(tensors, "plain.safetensors")
    with_metadata = OrderedDict(tensors)
    with_metadata._metadata = OrderedDict({"": {"version": 1}, "encoder": {"version": 1}})
    torch.save(with_metadata, "plain.pt")
    torch.save(OrderedDict((n, column_major(t)) for n, t in tensors.items()), "column-major.pt")
    torch.save(OrderedDict((n, sliced(t)) for n, t in tensors.items()), "sliced.pt")
    torch.save(OrderedDict((n, every_other(t)) for n, t in tensors.items()), "every-other.pt")
    torch.save(in_one_storage(tensors), "one-storage.pt")
    torch.save(OrderedDict((n, t.to(torch.bfloat16)) for n, t in tensors.items()), "bfloat16.pt")
    torch.save(OrderedDict((n, t.double()) for n, t in tensors.items()), "float64.pt")
    torch.save(OrderedDict((n, torch.nn.Parameter(t)) for n, t in tensors.items()), "parameters.pt")
    torch.save(dict(tensors), "protocol-4.pt", pickle_protocol=4)
    torch.save(bmcook(tensors), "bmcook.pt")
    torch.save(tensors, "legacy.pt", _use_new_zipfile_serialization=False)

    archive("refused-system.pt", pickle.dumps({"a": Call(os.system, "true")}, protocol=2))
    archive("refused-eval.pt", pickle.dumps({"a": Call(eval, "1 + 1")}, protocol=4))
    archive("refused-packed.pt", b"0" * 4_000_000, zipfile.ZIP_DEFLATED)
    buffer = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), buffer)
    with open("refused-module.pt", "wb") as out:
        out.write(buffer.getvalue())
    with open("plain.pt", "rb") as source, open("refused-cut.pt", "wb") as out:
        out.write(source.read()[:9000])


if __name__ == "__main__":
    main(sys.argv[1])
