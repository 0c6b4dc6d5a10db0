#!/usr/bin/env python3
"""What fewer bits do to a model: agreement with its own int8 file, KL, perplexity, tokens a sweep with drafted chains.

usage: study.py [FOLDER]          the demo model unless given; a few minutes on two cores

Weights of the layers are coded by the program's own kernels, the token table stays int8. The texts are the int8 model's
own greedy continuations, so agreement is what a low-bit copy would have accepted of its drafts. Codes are chosen by the
weights alone, by texts of the same kind that the model wrote by chance, or by the lines of README.zh-CN.md. Needs torch
and safetensors, and clang for the kernels."""

import ctypes
import glob
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Examples/demo-model"
sys.path.insert(0, str(FOLDER))
import antmodel  # noqa: E402

VOCAB, END, LONGEST, DRAFT = 30720, 7, 40, 16
TITLES = """春夜 秋思 登高 望月 送别 江雪 山居 游子吟 塞下曲 出塞 采莲 夜泊 早春 寒食 田家 春望 秋夜 听琴 怀古 渔父 柳 梅 菊
赠友人 江上 客中作 雨后 晚晴 山中 池上""".split()
# Of the texts that codes are chosen by.
OTHER_TITLES = """晚泊 早行 秋江 春山 溪居 野望 闲居 寄友 别离 落花 明月 古寺 江楼 边城 征人 宫词 春雪 夏日 冬夜 题壁 送客 归隐 访友 松 竹 荷 雁
燕 酒 剑 过故人庄 秋兴 咏怀 感遇 凉州词 从军行 竹枝词 杨柳枝 浪淘沙 清明 重阳 除夜 新晴 暮春 秋风 江南 塞上 洛阳 长安 金陵""".split()
OTHER_POETS = "王昌龄 刘禹锡 李商隐 岑参 高适 韦应物 柳宗元 陆游 苏轼 王安石 杨万里".split()
POETS = "李白 杜甫 王维 白居易 孟浩然 杜牧".split()


def kernels():
    """The program's kernels as a library."""
    library = Path(tempfile.mkdtemp()) / "kernels.so"
    sources = ROOT / "Sources/CLeafKernels"
    files = glob.glob(f"{sources}/*.c") + glob.glob(f"{sources}/*/*.c") + [str(Path(__file__).parent / "encode.c")]
    subprocess.run(["clang", "-O2", "-shared", "-fPIC", f"-I{sources}/include", "-o", library, *files], check=True)
    return ctypes.CDLL(str(library))


KERNELS = kernels()


def int8(w):
    """The int8 numbers of rows, and their scales."""
    scale = w.abs().amax(1, keepdim=True) / 127
    scale[scale == 0] = 1
    return torch.round(w / scale), scale


def as_int8(w, _=None):
    numbers, scale = int8(w)
    return numbers * scale


# leaf_layout, and bytes of 64 columns of a tile.
Q4, Q3 = (1, 544), (2, 416)


# Columns whose inputs are multiplied with each other, and the numbers of such a block.
BLOCK, PRODUCTS = 256, 256 * 272 // 2


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def feedback_of(inputs):
    """What the encoder is told of all blocks of columns; the last one is padded with zeros."""
    padded = np.zeros((inputs.shape[0], -(-inputs.shape[1] // BLOCK) * BLOCK), np.float32)
    padded[:, :inputs.shape[1]] = inputs
    blocks = np.zeros((padded.shape[1] // BLOCK, PRODUCTS), np.float32)
    for block, products in enumerate(blocks):
        rows = np.ascontiguousarray(padded[:, block * BLOCK:(block + 1) * BLOCK])
        KERNELS.add_products(pointer(rows), ctypes.c_size_t(len(rows)), ctypes.c_size_t(BLOCK), pointer(products))
        assert KERNELS.leaf_feedback(pointer(products), ctypes.c_size_t(BLOCK))
    return blocks


def as_codes(w, layout, inputs=None):
    """The numbers that the coded tiles of a matrix stand for."""
    number, section = layout
    numbers, scale = int8(w)
    rows, columns = w.shape
    padded = np.zeros((-(-rows // 16) * 16, -(-columns // 64) * 64), np.int8)
    padded[:rows, :columns] = numbers.numpy()
    tiles = np.ascontiguousarray(padded.reshape(-1, 16, padded.shape[1] // 4, 4).transpose(0, 2, 1, 3))
    code = np.empty(padded.shape[1] // 64 * section, np.uint8)
    feedback = None if inputs is None else feedback_of(inputs)
    for tile in tiles:
        KERNELS.encode(number, pointer(tile), ctypes.c_size_t(padded.shape[1]),
                       None if feedback is None else pointer(feedback), pointer(code))
        KERNELS.leaf_decode(number, pointer(code), ctypes.c_size_t(padded.shape[1]), pointer(tile))
    decoded = tiles.transpose(0, 2, 1, 3).reshape(padded.shape)[:rows, :columns]
    return torch.from_numpy(decoded.astype(np.float32)) * scale


def as_q4(w, _=None):
    return as_codes(w, Q4)


def as_q3(w, _=None):
    return as_codes(w, Q3)


def nearest(w, group, bits=4):
    """Rounded to the nearest of 16 or 8 evenly spaced numbers, a float16 scale a group of a row."""
    blocks = w.reshape(w.shape[0], -1, group)
    most = 2 ** (bits - 1) - 1
    scale = blocks.abs().amax(-1, keepdim=True) / most
    scale[scale == 0] = 1
    return (torch.round(blocks / scale).clamp(-most - 1, most) * scale).reshape(w.shape)


class Model:
    def __init__(self, folder):
        tensors = {k.removeprefix("cpmant."): v.float() for k, v in load_file(folder / "model.safetensors").items()}
        self.net = antmodel.Ant(VOCAB)
        self.net.load_state_dict(tensors, strict=False)
        self.net.eval().requires_grad_(False)
        words = tensors["input_embedding.weight"]
        self.net.segment_embedding.copy_(tensors["segment_embedding.weight"])
        self.net.prompt_embedding.copy_(words[VOCAB:].reshape(32, 32, -1))
        self.words = words[:VOCAB]
        linear = (name for name, module in self.net.named_modules() if isinstance(module, torch.nn.Linear))
        self.matrices = {name: self.net.get_submodule(name).weight.data.clone() for name in linear}

    def use(self, matrix, table=as_int8):
        for name, weight in self.matrices.items():
            self.net.get_submodule(name).weight.data = matrix(weight, name)
        self.net.input_embedding.copy_(table(self.words))

    @torch.no_grad()
    def predictions(self, ids, prompt, start):
        """Log-probabilities of what follows the places from `start` on."""
        context = torch.zeros(1, len(ids), dtype=torch.bool)
        context[0, :prompt] = True
        hidden = self.net(torch.tensor([ids]), context, 2, 2)[0][start:]
        return torch.log_softmax(hidden @ self.net.input_embedding.T, -1)

    def inputs(self, texts):
        """By matrix the rows that it multiplies while the model reads texts; (ids, prompt) each."""
        inputs = {name: [] for name in self.matrices}

        def keep(name):
            return lambda _, given, __: inputs[name].append(given[0].reshape(-1, given[0].shape[-1]).numpy())

        hooks = [self.net.get_submodule(name).register_forward_hook(keep(name)) for name in inputs]
        for ids, prompt in texts:
            self.predictions(ids, prompt, 0)
        for hook in hooks:
            hook.remove()
        return {name: np.concatenate(rows) for name, rows in inputs.items()}

    def by_chance(self, prompt):
        ids = list(prompt)
        while len(ids) < len(prompt) + LONGEST:
            likely = torch.softmax(self.predictions(ids, len(prompt), len(ids) - 1)[-1] / 0.9, -1)
            ids.append(int(torch.multinomial(likely, 1)))
            if ids[-1] == END:
                return ids[:-1]
        return ids

    def continued(self, prompt):
        ids = list(prompt)
        while len(ids) < len(prompt) + LONGEST:
            ids.append(int(self.predictions(ids, len(prompt), len(ids) - 1)[-1].argmax()))
            if ids[-1] == END:
                return ids[:-1]
        return ids


def vocabulary(folder):
    return {text: i for i, text in enumerate((folder / "vocab.txt").read_text(encoding="utf-8").split("\n"))}


def headings(folder, titles, poets):
    ids = vocabulary(folder)
    for i, title in enumerate(titles):
        poet = poets[i % len(poets)]
        name = [ids[poet]] if poet in ids else [ids[c] for c in poet]
        if all(c in ids for c in title):
            yield [6, 240, *(ids[c] for c in title), 241, *name, 4]


def prompts(folder):
    yield from headings(folder, TITLES, POETS)
    for example in json.loads((folder / "examples.json").read_text(encoding="utf-8"))["generation"]:
        yield example["input_ids"]


def lines(folder):
    """Lines of another kind of text, character by character, 120 at most each."""
    ids = vocabulary(folder)
    for line in (ROOT / "README.zh-CN.md").read_text(encoding="utf-8").split("\n"):
        known = [ids[c] for c in line if c in ids][:120]
        if len(known) > 20:
            yield [6, *known], 1


def report(name, bits, model, texts, reference):
    same, total, divergence, loss, sweeps = 0, 0, 0.0, 0.0, []
    for (ids, prompt), truth in zip(texts, reference):
        own = model.predictions(ids, prompt, prompt - 1)[:-1]
        following = torch.tensor(ids[prompt:])
        hits = (own.argmax(-1) == following).tolist()
        same, total = same + sum(hits), total + len(hits)
        divergence += float((truth.exp() * (truth - own)).sum())
        loss -= float(own.gather(1, following[:, None]).sum())
        place = 0
        while place < len(hits):
            drafted = hits[place:place + DRAFT]
            accepted = len(drafted) if all(drafted) else drafted.index(False)
            sweeps.append(accepted + 1)
            place += accepted + 1
    print(f"{name:40s} {bits:5.2f} bits  first choice {same / total:.3f}  KL {divergence / total:.5f}  "
          f"perplexity {math.exp(loss / total):.4f}  tokens a sweep {sum(sweeps) / len(sweeps):.2f}", flush=True)


def main():
    torch.manual_seed(0)
    model = Model(FOLDER)
    model.use(as_int8)
    texts = [(model.continued(prompt), len(prompt)) for prompt in prompts(FOLDER)]
    reference = [model.predictions(ids, prompt, prompt - 1)[:-1] for ids, prompt in texts]
    print(f"{sum(len(ids) - prompt for ids, prompt in texts)} tokens of {len(texts)} texts", flush=True)
    others = headings(FOLDER, OTHER_TITLES, OTHER_POETS)
    own = model.inputs([(model.by_chance(prompt), len(prompt)) for prompt in others])
    foreign = model.inputs(lines(FOLDER))
    report("int8 (itself)", 8, model, texts, reference)
    for name, bits, matrix, table in (
            ("float16", 16, lambda w, _: w, lambda w: w),
            ("q4", 4.25, as_q4, as_int8),
            ("q4 by texts of the same kind", 4.25, lambda w, name: as_codes(w, Q4, own[name]), as_int8),
            ("q4 by another kind of text", 4.25, lambda w, name: as_codes(w, Q4, foreign[name]), as_int8),
            ("q4, and the token table too", 4.25, as_q4, as_q4),
            ("q3", 3.25, as_q3, as_int8),
            ("q3 by texts of the same kind", 3.25, lambda w, name: as_codes(w, Q3, own[name]), as_int8),
            ("q3 by another kind of text", 3.25, lambda w, name: as_codes(w, Q3, foreign[name]), as_int8),
            ("round to nearest, groups of 32", 4.5, lambda w, _: nearest(w, 32), as_int8),
            ("round to nearest, groups of 64", 4.25, lambda w, _: nearest(w, 64), as_int8),
            ("round to nearest, 3 bits, groups of 32", 3.5, lambda w, _: nearest(w, 32, 3), as_int8),
            ("round to nearest, 3 bits, groups of 64", 3.25, lambda w, _: nearest(w, 64, 3), as_int8)):
        model.use(matrix, table)
        report(name, bits, model, texts, reference)


if __name__ == "__main__":
    main()
