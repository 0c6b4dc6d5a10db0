#!/usr/bin/env python3
"""Make Tests/Golden/compressed: small checkpoints as BMCook leaves them (pruned with masks, 2:4-sparse) and of CPM-Ant+,
with the logits and ids that CPM-Ant in plain PyTorch, float64, has with them.

    python3 Scripts/make-compressed-fixtures.py Tests/Golden/compressed

Needs torch and safetensors. A pruned model is computed twice: with the tensors that are left, and with all tensors, those
parts made zero that were pruned.
"""
import json
import os
import re
import sys
from collections import OrderedDict

import torch
from safetensors.torch import save_file

from reference_model import MODULES, Ant, shapes

CONFIG = {
    "vocab_size": 120, "dim_model": 32, "num_heads": 4, "dim_head": 12, "dim_ff": 40, "num_layers": 5, "dropout_p": 0.0,
    "position_bias_num_buckets": 16, "position_bias_max_distance": 64, "eps": 1e-6, "half": True, "prompt_types": 3,
    "prompt_length": 4, "segment_types": 3,
}
IDS = [6, 20, 30, 41, 11, 99, 77, 4, 5, 100, 101, 20, 20]
ATTENTION = ("project_q", "project_k", "project_v", "attention_out")
FEED_FORWARD = ("w_0", "w_1", "w_out")


def state(config, masks, generator):
    """A state dict in float16; `masks` as in `mask_modules`."""
    attention, feed_forward, others = shapes(config)

    def numbers(shape):
        values = torch.randn(*shape, generator=generator)
        return (values if len(shape) > 1 else 1 + 0.2 * values).half()

    result = OrderedDict()
    for layer, left_out in enumerate(masks):
        for half, is_left_out in zip((attention, feed_forward), left_out):
            if not is_left_out:
                result.update((name.format(layer), numbers(shape)) for name, shape in half.items())
    result.update((name, numbers(shape)) for name, shape in others.items())
    return result


def double(tensors):
    return {name: tensor.double() for name, tensor in tensors.items()}


def rounded(weights):
    """As int8 rows hold them, rounded in float32: the matrices and the tables of tokens and prompts."""
    result = dict(weights)
    for name, weight in weights.items():
        if "project" in name or "_out" in name or ".w_in" in name or name.startswith(("input_emb", "prompt_emb")):
            scale = weight.float().abs().amax(1, keepdim=True) / 127
            result[name] = torch.round(weight.float() / scale).double() * scale.double()
    return result


def write(path, value):
    with open(path, "w") as out:
        json.dump(value, out, indent=1)


# MARK: BMCook's structured pruning

# By layer: heads and numbers of a head that stay, and neurons; None for a half layer that was not there or is removed.
HEADS = {0: ([1, 3], [0, 1, 2, 4, 6, 7, 9, 11]), 1: ([0, 1, 2, 3], list(range(12))), 3: ([2], [3, 4, 5, 7, 8])}
NEURONS = {0: list(range(1, 38, 2)), 2: list(range(40)), 3: list(range(33))}
BEFORE = [[False, False], [False, True], [False, False], [False, False], [True, False]]


def prune(tensors, heads, neurons, size):
    """What is left of one layer's matrix."""
    result = OrderedDict()
    for name, tensor in tensors.items():
        module = next((m for m in MODULES if re.fullmatch(MODULES[m].format(r"(\d+)") + ".weight", name)), None)
        layer = int(name.split(".")[2]) if name.startswith("encoder.layers.") else None
        if module in ATTENTION and layer in heads:
            rows = [head * size + place for head in heads[layer][0] for place in heads[layer][1]]
        elif module in FEED_FORWARD and layer in neurons:
            rows = neurons[layer]
        else:
            result[name] = tensor
            continue
        result[name] = (tensor[:, rows] if module in ("attention_out", "w_out") else tensor[rows]).contiguous()
    return result


def zeroed(tensors, heads, neurons, size):
    """All of a layer's numbers, those zero that pruning takes away, so scaled that they count as in the smaller matrix."""
    result = {}
    for name, tensor in tensors.items():
        result[name] = tensor
        module = next((m for m in MODULES if re.fullmatch(MODULES[m].format(r"(\d+)") + ".weight", name)), None)
        if module is None:
            continue
        layer = int(name.split(".")[2])
        if module in ATTENTION:
            kept = [head * size + place for head in heads[layer][0] for place in heads[layer][1]]
        else:
            kept = neurons[layer]
        axis = 1 if module in ("attention_out", "w_out") else 0
        mask = torch.zeros(tensor.shape[axis]).double()
        mask[kept] = 1
        result[name] = tensor * (mask if axis else mask[:, None])
        if axis:
            result[name] = result[name] * (tensor.shape[1] / len(kept)) ** 0.5
        if module == "project_q":
            result[name] = result[name] * (size / len(heads[layer][1])) ** 0.5
    return result


def pruned(folder, generator):
    size = CONFIG["dim_head"]
    whole = state(CONFIG, BEFORE, generator)
    removed = ("encoder.layers.2.self_att.", "encoder.layers.4.ffn.")
    left = OrderedDict((name, t) for name, t in whole.items() if not name.startswith(removed))
    smaller = prune(left, HEADS, NEURONS, size)
    config = {**CONFIG, "mask_modules": BEFORE}
    heads = {layer: kept for layer, (kept, _) in HEADS.items()}
    logits = Ant(double(smaller), config, heads).logits(IDS)
    # The other way: zeros in place of what was taken away, and all heads.
    full = Ant(zeroed(double(left), HEADS, NEURONS, size), config).logits(IDS)
    assert (logits - full).abs().max() < 1e-9
    wrong = Ant(double(smaller), config, {layer: list(range(len(kept))) for layer, kept in heads.items()}).logits(IDS)
    assert (logits - wrong).abs().max() > 0.1

    # Depending on the order of a Python set, BMCook writes the matrices of a removed attention again.
    saved = OrderedDict(smaller)
    for name in ATTENTION:
        key = MODULES[name].format(2) + ".weight"
        saved[key] = whole[key]
    torch.save(saved, f"{folder}/pruned.pt")
    write(f"{folder}/pruned.json", config)

    def mask(kept, count):
        row = torch.zeros(count).half()
        row[kept] = 1
        return row

    # One entry for each attention that there was; sums of masks, so 4.0.
    units = [HEADS.get(layer, (list(range(4)), list(range(size)))) for layer in range(4)]
    write(f"{folder}/pruned.pt.cnofig.json", {
        "att": {"2": True}, "ffn": {"3": True}, "num_heads": [float(len(h)) for h, _ in units],
        "dim_head": [float(len(d)) for _, d in units], "dim_ff": [float(len(NEURONS.get(x, []))) for x in (0, 2, 3, 4)]})
    torch.save(OrderedDict(
        att=torch.tensor([[1], [1], [0], [1]]).half(), ffn=torch.tensor([[1], [1], [1], [0]]).half(),
        num_heads=torch.stack([mask(h, 4) for h, _ in units]), dim_head=torch.stack([mask(d, size) for _, d in units])),
        f"{folder}/masks.pt")
    # The form of 2022, as if all half layers had been there: one entry a layer.
    by_layer = [HEADS.get(layer, ([0, 1, 2, 3], list(range(size)))) for layer in range(5)]
    write(f"{folder}/early.json", CONFIG)
    write(f"{folder}/early.pt.cnofig.json", {
        "mask_modules": [[False, False], [False, True], [True, False], [False, False], [True, True]],
        "num_heads": [len(h) for h, _ in by_layer], "dim_head": [len(d) for _, d in by_layer],
        "dim_ff": [len(NEURONS.get(layer, range(40))) for layer in range(5)]})
    torch.save(OrderedDict(num_heads=torch.stack([mask(h, 4) for h, _ in by_layer])), f"{folder}/early-masks.pt")
    return {"pruned": logits, "pruned.int8": Ant(rounded(double(smaller)), config, heads).logits(IDS)}


# MARK: 2:4 sparsity

def sparse(folder, generator):
    """Of every four numbers along the input dimension the two largest are left."""
    config = {**CONFIG, "num_layers": 2}
    tensors = state(config, [[False, False]] * 2, generator)
    for name, tensor in tensors.items():
        if not any(re.fullmatch(path.format(r"\d+") + ".weight", name) for path in MODULES.values()):
            continue
        groups = tensor.view(-1, 4)
        mask = torch.zeros_like(groups).scatter_(1, groups.abs().float().topk(2, 1).indices, 1)
        tensors[name] = (groups * mask).view(tensor.shape)
        assert ((tensors[name].view(-1, 4) != 0).sum(1) <= 2).all()
    torch.save(tensors, f"{folder}/sparse.pt")
    write(f"{folder}/sparse.json", config)
    return Ant(double(tensors), config).logits(IDS)


# MARK: CPM-Ant+

# The first ones stand where CPM-Ant+ has them, and `<eod>` tells it from CPM-Ant; the rest are traps.
PLUS = ["<pad>", "<unk>", "<mask>", "<sep>", "</n>", "</_>", "<s>", "</s>", "<d>", "</d>", "<", ">", "<<", "s", "/", "s>",
        "今天", "今", "天气", "天", "气", "不错", "不", "，", "。", "a", "b", "ab", "abc", "the", " the", " solution", "  ",
        "sol", "<eod>", "<x", "你好 世界", "你好", "é", "e\u0301", "ﬁ", "\t", "𠀀", "1", "12", "123", " ", "\u3000", "end "]
TEXTS = ["今天天气不错，", "the solution", " the  the", "你好 世界\n你好 ab", "<s>", "<eod>", "<<x", "a<b<<c<", "abcab", "1234 12",
         "喵a喵喵\rb", "e\u0301é", "e", "𠀀𠀁", "\ta\u3000b", "end end", "   ", "", "<", "天天今天"]


def plus_ids(text):
    """The rules once more: alternatives of a regular expression in the order of their length, unknown ones together."""
    words = {word: at for at, word in enumerate(PLUS) if not (word[:1] == "<" and word[-1:] == ">")}
    words.update({"\n": 4, " ": 5})
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    ids = []
    for match in re.finditer(f"(?P<known>{pattern})|.", text, re.DOTALL):
        if match["known"] is not None:
            ids.append(words[match["known"]])
        elif not ids or ids[-1] != 1:
            ids.append(1)
    return ids


def plus(folder, generator):
    config = {**CONFIG, "num_layers": 2, "vocab_size": len(PLUS)}
    tensors = state(config, [[False, False]] * 2, generator)
    weights = double(tensors)
    tensors["input_embedding.weight"] = torch.cat(
        (tensors["input_embedding.weight"], tensors.pop("prompt_embedding.weight")))
    torch.save(tensors, f"{folder}/plus.pt")
    write(f"{folder}/plus.json", config)
    with open(f"{folder}/plus.txt", "w", newline="") as out:
        out.write("\n".join(PLUS) + "\n")

    model = Ant(weights, config)
    prompt = [6] + [token for token in plus_ids(TEXTS[0]) if token != 1]
    ids = list(prompt)
    for step in range(12):
        last = model.logits(ids, generated=step)[-1]
        if step == 0:
            last[[4, 7]] = -torch.inf
        # A repetition penalty of 3: random models like what they just said.
        for token in set(ids[len(prompt):]):
            last[token] *= 3 if last[token] < 0 else 1 / 3
        best = last.topk(2)
        assert best.values[0] - best.values[1] > 1e-3
        if best.indices[0] == 7:
            break
        ids.append(int(best.indices[0]))
    write(f"{folder}/plus-cases.json", {
        "texts": [{"text": text, "ids": plus_ids(text)} for text in TEXTS],
        "generation": {"prompt": TEXTS[0], "ids": ids[len(prompt):]}})
    return model.logits(prompt)


def main(folder):
    os.makedirs(folder, exist_ok=True)
    generator = torch.Generator().manual_seed(20261124)
    results = pruned(folder, generator)
    results |= {"sparse": sparse(folder, generator), "plus": plus(folder, generator)}
    save_file({name: value.float().contiguous() for name, value in results.items()}, f"{folder}/logits.safetensors")
    write(f"{folder}/ids.json", IDS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        main(sys.argv[1])
