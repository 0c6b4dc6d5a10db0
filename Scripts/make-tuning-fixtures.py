#!/usr/bin/env python3
"""Make Tests/Golden/tuning: LoRA adapters as OpenDelta saves them and soft prompts for the golden model ant-tiny-c, and
the logits that CPM-Ant in plain PyTorch, float32, has with them.

    python3 Scripts/make-tuning-fixtures.py Tests/Golden

Needs torch and safetensors. Without an adapter the model must give the golden logits that are there already.
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file

from reference_model import MODULES, Ant


def lora(weights, config, modules, rank, generator, type=torch.float32):
    """As strong as the weights themselves, so that a wrong scale shows."""
    result = {}
    for layer in range(config["num_layers"]):
        for module in modules:
            name = MODULES[module].format(layer)
            rows, columns = weights[name + ".weight"].shape
            for matrix, shape, size in (("A", (rank, columns), columns ** -0.5), ("B", (rows, rank), 0.2)):
                numbers = torch.randn(*shape, generator=generator) * size
                result[f"{name}.lora.lora_{matrix}"] = numbers.to(type)
    return result


def main(golden):
    folder, source = os.path.join(golden, "tuning"), os.path.join(golden, "models/ant-tiny-c")
    os.makedirs(os.path.join(folder, "finetuned"), exist_ok=True)
    with open(os.path.join(source, "cpm-live/ant-tiny-c.json")) as file:
        config = json.load(file)
    weights = {k: v.float() for k, v in torch.load(os.path.join(source, "cpm-live/ant-tiny-c.pt")).items()}
    model = Ant(weights, config)
    with open(os.path.join(source, "golden/forward.json")) as file:
        for case in json.load(file)["cases"]:
            for ids, length, last in zip(case["input_ids"], case["lengths"], case["last_logits"]):
                mine = model.logits(ids[len(ids) - length:])[-1]
                assert (mine - torch.tensor(last)).abs().max() < 5e-5, case["id"]

    generator = torch.Generator().manual_seed(20261124)
    best = lora(weights, config, ("project_q", "project_v"), 4, generator, torch.float16)
    torch.save(best, os.path.join(folder, "best.pt"))
    finetuned = lora(weights, config, MODULES, 3, generator)
    torch.save(finetuned, os.path.join(folder, "finetuned/pytorch_model.bin"))
    with open(os.path.join(folder, "finetuned/config.json"), "w") as file:
        json.dump({"delta_type": "lora", "lora_r": 3, "lora_alpha": 12, "modified_modules": list(MODULES),
                   "opendelta_version": "0.3.2"}, file, indent=1)
    save_file(finetuned, os.path.join(folder, "finetuned.safetensors"))
    prompt = torch.randn(config["prompt_length"], config["dim_model"], generator=generator)
    save_file({"soft_prompt": prompt}, os.path.join(folder, "prompt.safetensors"))
    table = torch.randn(config["prompt_types"] * config["prompt_length"], config["dim_model"], generator=generator)
    torch.save({"prompt_embedding.weight": table.half()}, os.path.join(folder, "prompts.pt"))

    ids = [6, 20, 30, 40, 11, 199, 77, 4, 5, 100, 101]
    rows = table.half().float()[config["prompt_length"] * 1:][:config["prompt_length"]]
    results = {
        "none": model.logits(ids),
        "best": model.logits(ids, lora=best),
        "best.alpha8": model.logits(ids, lora=best, alpha=8.0),
        "best.task1": model.logits(ids, task=1, segment=1, lora=best),
        "finetuned": model.logits(ids, lora=finetuned, alpha=12.0),
        "prompt": model.logits(ids, prompt=prompt),
        "prompts.task1": model.logits(ids, task=1, prompt=rows),
        "best.prompt": model.logits(ids, lora=best, prompt=prompt),
    }
    for name, other in results.items():
        assert name == "none" or (other - results["none"]).abs().max() > 0.1, name
    save_file({name: value.contiguous() for name, value in results.items()}, os.path.join(folder, "logits.safetensors"))
    with open(os.path.join(folder, "ids.json"), "w") as file:
        json.dump(ids, file)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        main(sys.argv[1])
