#!/usr/bin/env python3
"""Makes a CPM-Ant checkpoint of a published shape with random float16 weights: something to convert without a download.

usage: make_checkpoint.py hf|cpm-live 300m|1b|3b|7b|10b OUT [--seed N]

`hf` makes a folder of safetensors shards with an index, `cpm-live` a file OUT.pt with OUT.json. Rows have norms of their own and
a few weights stand out, as in trained models. Needs numpy and safetensors, and no torch: the .pt is written as torch.save does.
"""

import argparse
import io
import json
import os
import pickle
import sys
import types
import zipfile

import numpy as np


def layers(text):
    """The numbers of a list such as `0-2, 7`."""
    numbers = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


ALL = "0-47"
WIDE = ("0-12, 14, 16-18, 20-24, 26, 27, 29-31, 33, 36, 37, 39-42, 44, 46, 47",
        "0, 1, 5, 7-12, 15-20, 22-24, 27-29, 31, 32, 36-40, 42, 44, 45, 47")
NARROW = ("0, 1, 2, 4-9, 11, 12, 16, 18, 20, 23, 24, 27, 29-31, 33, 36, 39, 40, 42",
          "0, 5, 7, 9, 11, 16-18, 20, 22, 24, 27, 28, 31, 36, 37, 39, 40, 44, 45, 47")
# Heads, width of the feed-forward, and the layers that have attention and feed-forward.
SHAPES = {"10b": (32, 10240, ALL, ALL), "7b": (32, 10240, *WIDE), "3b": (20, 3735, *WIDE), "1b": (16, 700, *NARROW),
          "300m": (4, 350, *NARROW)}
DIM, HEAD, VOCAB, PROMPTS = 4096, 128, 30720, 32 * 32


class Weights:
    """Random float16 tensors, cut from one pool of normal numbers."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.pool = self.random.standard_normal(1 << 24, dtype=np.float32)
        self.pool[self.random.integers(0, len(self.pool), 2000)] *= 3

    def matrix(self, rows, columns, deviation):
        scales = (deviation * self.random.lognormal(0, 0.2, rows)).astype(np.float32)
        out = np.empty((rows, columns), np.float16)
        for row in range(0, rows, 1024):
            count = min(1024, rows - row) * columns
            start = self.random.integers(0, len(self.pool) - count)
            out[row:row + 1024] = self.pool[start:start + count].reshape(-1, columns) * scales[row:row + 1024, None]
        return out

    def norm(self):
        return (1 + 0.1 * self.random.standard_normal(DIM)).astype(np.float16)


def tensors(shape, is_live, weights):
    """Names and arrays in the order of the model; transformers' form has 1/sqrt(fan-in) inside the weights."""
    heads, ff, attention, feed_forward = shape
    inner = heads * HEAD

    def deviation(fan_in):
        return 1.0 if is_live else fan_in ** -0.5

    def linear(name, rows, columns):
        return name + ".weight", lambda: weights.matrix(rows, columns, deviation(columns))

    for layer in range(48):
        prefix = f"encoder.layers.{layer}."
        if layer in layers(attention):
            yield prefix + "self_att.layernorm_before_attention.weight", weights.norm
            for name in "qkv":
                yield linear(f"{prefix}self_att.self_attention.project_{name}", inner, DIM)
            yield linear(prefix + "self_att.self_attention.attention_out", DIM, inner)
        if layer in layers(feed_forward):
            yield prefix + "ffn.layernorm_before_ffn.weight", weights.norm
            yield linear(prefix + "ffn.ffn.w_in.w_0", ff, DIM)
            yield linear(prefix + "ffn.ffn.w_in.w_1", ff, DIM)
            yield linear(prefix + "ffn.ffn.w_out", DIM, ff)
    yield "encoder.output_layernorm.weight", weights.norm
    if is_live:
        yield linear("prompt_embedding", PROMPTS, DIM)
    yield "segment_embedding.weight", lambda: weights.matrix(32, DIM, deviation(DIM))
    yield linear("input_embedding", VOCAB + (0 if is_live else PROMPTS), DIM)
    yield "position_bias.relative_attention_bias", lambda: weights.matrix(512 + 32 * 32, heads, 1.0)


def configuration(shape, is_live):
    heads, ff, attention, feed_forward = shape
    masks = [[i not in layers(attention), i not in layers(feed_forward)] for i in range(48)]
    common = {"dim_head": HEAD, "dim_ff": ff, "vocab_size": VOCAB, "prompt_types": 32, "prompt_length": 32,
              "segment_types": 32, "position_bias_num_buckets": 512, "position_bias_max_distance": 2048, "eps": 1e-6,
              "mask_modules": masks}
    if is_live:
        return common | {"dim_model": DIM, "num_heads": heads, "num_layers": 48}
    return common | {"model_type": "cpmant", "hidden_size": DIM, "num_attention_heads": heads,
                     "num_hidden_layers": 48}


def write_hf(folder, items, shard_bytes):
    from safetensors.numpy import save_file

    os.makedirs(folder, exist_ok=True)
    shard, files, size = {}, [], 0

    def flush():
        files.append(list(shard))
        save_file(shard, f"{folder}/{len(files)}.tmp", metadata={"format": "pt"})
        shard.clear()

    for name, make in items:
        array = make()
        if shard and size + array.nbytes > shard_bytes:
            flush()
            size = 0
        shard["cpmant." + name] = array
        size += array.nbytes
    flush()
    names = [f"model-{i + 1:05}-of-{len(files):05}.safetensors" for i in range(len(files))]
    for index, name in enumerate(names):
        os.rename(f"{folder}/{index + 1}.tmp", f"{folder}/{name}")
    table = {tensor: name for name, held in zip(names, files) for tensor in held}
    with open(f"{folder}/model.safetensors.index.json", "w") as out:
        json.dump({"metadata": {}, "weight_map": table}, out)


def write_live(path, items):
    """What torch.save writes: a zip of one pickle and an entry a tensor, without torch."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
    HalfStorage = type("HalfStorage", (), {"__module__": "torch"})
    torch.HalfStorage, torch._utils = HalfStorage, utils

    def _rebuild_tensor_v2(*_):
        pass

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2

    class Storage:
        def __init__(self, key, count):
            self.key, self.count = key, count

    class Tensor:
        def __init__(self, key, shape):
            self.key, self.shape = key, shape

        def __reduce__(self):
            count = int(np.prod(self.shape))
            strides = tuple(int(np.prod(self.shape[axis + 1:])) for axis in range(len(self.shape)))
            return _rebuild_tensor_v2, (Storage(self.key, count), 0, self.shape, strides, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Storage):
                return ("storage", HalfStorage, value.key, "cpu", value.count)
            return None

    state = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for index, (name, make) in enumerate(items):
            array = make()
            state[name] = Tensor(str(index), array.shape)
            info = zipfile.ZipInfo(f"archive/data/{index}")
            # torch begins every storage at a multiple of 64 by an extra field.
            begin = archive.fp.tell() + 30 + len(info.filename) + 20 + 4
            info.extra = b"FB" + (-begin % 64).to_bytes(2, "little") + b"Z" * (-begin % 64)
            with archive.open(info, "w", force_zip64=True) as out:
                out.write(array.data.cast("B"))
        table = io.BytesIO()
        Pickler(table, protocol=2).dump(state)
        archive.writestr("archive/data.pkl", table.getvalue())
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=["hf", "cpm-live"])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shard-mb", type=int, default=1000)
    options = parser.parse_args()
    is_live = options.form == "cpm-live"
    shape = SHAPES[options.shape]
    items = tensors(shape, is_live, Weights(options.seed))
    if is_live:
        write_live(options.out + ".pt", items)
        path = options.out + ".json"
    else:
        write_hf(options.out, items, options.shard_mb * 1_000_000)
        path = f"{options.out}/config.json"
    with open(path, "w") as out:
        json.dump(configuration(shape, is_live), out, indent=1)


if __name__ == "__main__":
    main()
