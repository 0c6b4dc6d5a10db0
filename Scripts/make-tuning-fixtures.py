#!/usr/bin/env python3
"""Make Tests/Golden/tuning: LoRA adapters as OpenDelta saves them and soft prompts for the golden model ant-tiny-c, and the
logits that CPM-Ant in plain PyTorch, float32, has with them.

    python3 Scripts/make-tuning-fixtures.py Tests/Golden

Needs torch and safetensors. Without an adapter the model must give the golden logits that are there already.
"""
import json
import math
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

MODULES = {name: f"encoder.layers.{{}}.{path}" for name, path in (
    ("project_q", "self_att.self_attention.project_q"), ("project_k", "self_att.self_attention.project_k"),
    ("project_v", "self_att.self_attention.project_v"), ("attention_out", "self_att.self_attention.attention_out"),
    ("w_0", "ffn.ffn.w_in.w_0"), ("w_1", "ffn.ffn.w_in.w_1"), ("w_out", "ffn.ffn.w_out"))}


class Ant:
    """CPM-Ant with CPM-Live's weights: 1/sqrt(fan-in) is applied as it runs."""

    def __init__(self, weights, config):
        self.w, self.c = weights, config

    def linear(self, x, module, lora, alpha):
        weight = self.w[module + ".weight"]
        y = F.linear(x, weight) / math.sqrt(weight.shape[1])
        if module + ".lora.lora_A" in lora:
            a, b = (lora[f"{module}.lora.lora_{m}"].float() for m in "AB")
            y = y + (x @ a.T) @ b.T * (alpha / a.shape[0])
        return y

    def norm(self, x, name):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["eps"]) * self.w[name + ".weight"]

    def bias(self, segments):
        half, exact = self.c["position_bias_num_buckets"] // 2, self.c["position_bias_num_buckets"] // 4
        at = torch.arange(len(segments))
        distance = at[None, :] - at[:, None]
        a = distance.abs()
        far = exact + (torch.log(a.clamp(min=1) / exact) / math.log(self.c["position_bias_max_distance"] / exact)
                       * (half - exact)).int()
        near = torch.where(a < exact, a, far.clamp(max=half - 1)) + (distance > 0) * half
        other = 2 * half + segments[:, None] * self.c["segment_types"] + segments[None, :]
        index = torch.where(segments[:, None] == segments[None, :], near, other)
        return F.embedding(index, self.w["position_bias.relative_attention_bias"]).permute(2, 0, 1)

    def logits(self, ids, task=2, segment=2, lora={}, alpha=16.0, prompt=None):
        c, root = self.c, math.sqrt(self.c["dim_model"])
        if prompt is None:
            prompt = self.w["prompt_embedding.weight"][task * c["prompt_length"]:][:c["prompt_length"]]
        segments = torch.tensor([0] * c["prompt_length"] + [segment] * len(ids))
        x = torch.cat((prompt.float(), self.w["input_embedding.weight"][torch.tensor(ids)]))
        x = (x + self.w["segment_embedding.weight"][segments]) / root
        bias, heads = self.bias(segments), (len(segments), c["num_heads"], c["dim_head"])
        for layer in range(c["num_layers"]):
            def apply(y, name):
                return self.linear(y, MODULES[name].format(layer), lora, alpha)
            n = self.norm(x, f"encoder.layers.{layer}.self_att.layernorm_before_attention")
            q, k, v = (apply(n, name).view(heads).transpose(0, 1) for name in ("project_q", "project_k", "project_v"))
            weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(c["dim_head"]) + bias, -1)
            x = x + apply((weights @ v).transpose(0, 1).reshape(len(segments), -1), "attention_out")
            n = self.norm(x, f"encoder.layers.{layer}.ffn.layernorm_before_ffn")
            x = x + apply(F.gelu(apply(n, "w_0")) * apply(n, "w_1"), "w_out")
        hidden = self.norm(x, "encoder.output_layernorm")[c["prompt_length"]:]
        return F.linear(hidden / root, self.w["input_embedding.weight"])


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
