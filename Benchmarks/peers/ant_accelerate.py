#!/usr/bin/env python3
"""Generates with transformers and accelerate, weights offloaded to the disk; one JSON object with the seconds of each token.

    ant_accelerate.py FOLDER --offload FOLDER --resident 512MiB --dtype float16 --ids 6,20 --tokens 4

Each step is one call of the model with the cache of the one before, as `generate` makes it.
"""

import argparse
import json
import time

import accelerate
import torch
import transformers

import measure

def places(config, block_bytes, resident):
    """Where each module lives: as many blocks as `resident` bytes hold in memory, the rest on the disk.

    The token table stays in memory: accelerate fails on a tied one that is on the disk.
    """
    in_memory = min(config.num_hidden_layers, resident // block_bytes)
    return {
        "cpmant.segment_embedding": "cpu", "cpmant.position_bias": "cpu", "cpmant.encoder.output_layernorm": "cpu",
        "cpmant.input_embedding": "cpu", "lm_head": "cpu",
        **{f"cpmant.encoder.layers.{i}": "cpu" if i < in_memory else "disk" for i in range(config.num_hidden_layers)},
    }


def load(folder, offload, resident, dtype):
    config = transformers.AutoConfig.from_pretrained(folder)
    with accelerate.init_empty_weights():
        block = transformers.CpmAntForCausalLM(config).cpmant.encoder.layers[0]
    block_bytes = sum(weight.numel() for weight in block.parameters()) * dtype.itemsize
    return transformers.CpmAntForCausalLM.from_pretrained(
        folder, torch_dtype=dtype, device_map=places(config, block_bytes, resident), offload_folder=offload).eval()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--offload", required=True)
    parser.add_argument("--resident", type=measure.size, required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), required=True)
    parser.add_argument("--ids", required=True)
    parser.add_argument("--tokens", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(measure.cores())

    start = time.monotonic()
    model = load(arguments.folder, arguments.offload, arguments.resident, getattr(torch, arguments.dtype))
    loaded = time.monotonic()
    ids, past, times, generated = [int(one) for one in arguments.ids.split(",")], None, [loaded], []
    with torch.inference_mode():
        for _ in range(arguments.tokens):
            answer = model(torch.tensor([ids]), past_key_values=past, use_cache=True)
            past = answer.past_key_values
            generated.append(int(answer.logits[0, -1, :model.config.vocab_size].argmax()))
            ids.append(generated[-1])
            times.append(time.monotonic())
    seconds = [after - before for before, after in zip(times, times[1:])]
    print(json.dumps({
        "load": loaded - start, "prefill_seconds": seconds[:1], "decode_seconds": seconds[1:], "ids": generated,
        "on_disk": sum(place == "disk" for place in model.hf_device_map.values()),
    }))


if __name__ == "__main__":
    main()
