"""Writes random checkpoints as Hugging Face folders of float16 shards, in the memory of one shard."""

import json

import numpy as np
from safetensors.numpy import save_file

SEED = 1


def byte_count(shards):
    return sum(2 * int(np.prod(shape)) for shard in shards for shape in shard.values())


def random_tensor(shape, generator):
    """Norm weights are one; a product keeps the deviation of what comes in."""
    if len(shape) == 1:
        return np.ones(shape, np.float16)
    return (generator.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[1]))).astype(np.float16)


def write(folder, config, shards):
    """`shards`: a list of the shapes by name of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(SEED)
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file({name: random_tensor(shape, generator) for name, shape in shard.items()}, folder / file, {"format": "pt"})
        weight_map.update(dict.fromkeys(shard, file))
    index = {"metadata": {"total_size": byte_count(shards)}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    # The configuration comes last: a folder that has one is complete.
    (folder / "config.json").write_text(json.dumps(config, indent=1))
