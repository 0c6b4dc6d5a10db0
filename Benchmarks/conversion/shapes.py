#!/usr/bin/env python3
"""Takes each published shape from one end to the other, at full size with random weights.

usage: shapes.py --work FOLDER [--cli LEAFCUTTER] [--memory 512MiB] [--synthesize 7b,3b,1b,300m] [--convert 3b,1b,300m]
                 [--reference 1b,300m]

Two ways: `leafcutter synthesize`, and a CPM-Live .pt (make_checkpoint.py) by `leafcutter convert`; then `verify`, and `generate`
in the budget. Where this user may make a memory cgroup, `convert` runs in one of 1 GiB, and `generate` in one of exactly its
budget. With --reference the logits of 12 tokens by float16 weights are compared with those of Scripts/reference_model.py, plain
PyTorch in float32 (needs torch, and four bytes of memory a parameter), and those by int8 weights with both. What is made is removed
as soon as it is done: at most 2.5 times the largest checkpoint lies in FOLDER at once. Prints two tables.
"""
import argparse
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "../../Scripts")
PROMPT = "今天天气不错，"
TOKENS = 8
IDS = [6, 9802, 14962, 2082, 831, 244, 5, 4, 30719, 100, 20000, 7]


def run(command):
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {result.returncode}\n{result.stderr}")
    return result


class Cap:
    """Runs commands in a memory cgroup, where there can be one."""

    def __init__(self):
        self.program = [os.path.join(SCRIPTS, "with-memory-cap")]
        try:
            self.is_here = subprocess.run(self.program + ["1G", "--", "true"], capture_output=True).returncode == 0
        except OSError:
            self.is_here = False

    def run(self, size, command):
        """The result, and the peak in MiB: what the cgroup was charged, or without one None."""
        if not self.is_here:
            return run(command), None
        result = run(self.program + [size, "--"] + command)
        return result, float(re.search(r"peak=([0-9.]+)MiB", result.stderr)[1])


def mebibytes(size):
    number, unit = re.fullmatch(r"([0-9.]+)(MiB|GiB)", size).groups()
    return float(number) * (1 if unit == "MiB" else 1024)


def generate(options, cap, model):
    """Verifies a model and generates with it; the rest of its row."""
    run([options.cli, "verify", model, "--quiet"])
    budget = mebibytes(options.memory)
    result, charged = cap.run(int(budget * (1 << 20)), [
        options.cli, "generate", model, PROMPT, "--greedy", "--allow-empty", "--max-tokens", TOKENS, "--memory",
        options.memory, "--json", "--quiet"])
    report = json.loads(result.stdout)
    assert report["memory"]["peak"] <= report["memory"]["budget"], report["memory"]
    assert charged is None or charged <= budget, f"{charged} MiB were charged"
    timing = report["timing"]
    decode = timing["decode"] / max(1, timing["sweeps"] - 1)
    charge = "" if charged is None else f"{charged:.0f} MiB"
    return (f"{timing['prefill']:.2f} s | {decode:.3f} s | {report['io']['streamed_bytes_per_sweep'] / 1e9:.2f} GB | "
            f"{report['memory']['peak'] / (1 << 20):.0f} MiB | {charge}")


def synthesized(options, cap, shape):
    model = f"{options.work}/{shape}.leaf"
    made = json.loads(run([options.cli, "synthesize", model, "--preset", f"cpm-ant-{shape}", "--json", "--quiet"]).stdout)
    row = generate(options, cap, model)
    os.remove(model)
    return (f"| {shape} | {made['parameters'] / 1e6:,.0f} million | {made['bytes'] / 1e9:.2f} GB | {made['seconds']:.1f} s | "
            f"{made['peak_bytes'] / (1 << 20):.0f} MiB | {row} |")


def converted(options, cap, shape):
    source, model = f"{options.work}/live-{shape}", f"{options.work}/{shape}.leaf"
    run([sys.executable, os.path.join(HERE, "make_checkpoint.py"), "cpm-live", shape, source])
    # Nothing of it shall lie in the page cache.
    run(["sync", f"{source}.pt"])
    descriptor = os.open(f"{source}.pt", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    size = os.path.getsize(f"{source}.pt")
    result, charged = cap.run(1 << 30, [options.cli, "convert", f"{source}.pt", model, "--json", "--quiet"])
    made = json.loads(result.stdout)
    charge = "" if charged is None else f"{charged:.0f} MiB"
    row = generate(options, cap, model)
    if shape in options.reference:
        print(f"{shape}: {compared(options, source, model)}", file=sys.stderr, flush=True)
    for path in (model, f"{source}.pt", f"{source}.json"):
        os.remove(path)
    return (f"| {shape} | {size / 1e9:.2f} GB | {made['bytes'] / 1e9:.2f} GB | {made['seconds']:.1f} s | "
            f"{made['bytes_per_second'] / 1e9:.2f} GB/s | {made['peak_bytes'] / (1 << 20):.0f} MiB | {charge} | {row} |")


def logits(options, model):
    """Float32, `[rows, vocabulary]`."""
    import torch
    from safetensors.torch import load_file

    cases, out = f"{options.work}/cases.json", f"{options.work}/logits.safetensors"
    with open(cases, "w") as file:
        json.dump({"cases": [{"id": "a", "input_ids": IDS}]}, file)
    run([options.cli, "logits", model, "--input", cases, "--output", out, "--quiet"])
    result = load_file(out)["a"].to(torch.float64)
    for path in (cases, out):
        os.remove(path)
    return result


def compared(options, source, model):
    """What differs between plain PyTorch, float16 weights and int8 weights."""
    import torch

    sys.path.insert(0, SCRIPTS)
    from reference_model import Ant

    half = f"{options.work}/f16.leaf"
    run([options.cli, "convert", f"{source}.pt", half, "--weights", "f16", "--quiet"])
    mine, int8 = logits(options, half), logits(options, model)
    os.remove(half)
    with open(f"{source}.json") as file:
        config = json.load(file)
    weights = {name: tensor.float() for name, tensor in torch.load(f"{source}.pt").items()}
    with torch.no_grad():
        theirs = Ant(weights, config).logits(IDS).to(torch.float64)
    std = theirs.std().item()
    error = ((int8 - mine).pow(2).mean().sqrt() / mine.std()).item()
    return (f"logits of standard deviation {std:.2f}; float16 weights differ from PyTorch's float32 by at most "
            f"{(mine - theirs).abs().max().item():.1e}, int8 by rms / std {error:.3f}; "
            f"{(int8.argmax(1) == mine.argmax(1)).sum().item()} of {len(IDS)} most likely tokens are the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", default=os.path.join(HERE, "../../.build/release/leafcutter"))
    parser.add_argument("--work", required=True)
    parser.add_argument("--memory", default="512MiB")
    for name, shapes in (("synthesize", "7b,3b,1b,300m"), ("convert", "3b,1b,300m"), ("reference", "")):
        parser.add_argument(f"--{name}", default=shapes, type=lambda text: [word for word in text.split(",") if word])
    options = parser.parse_args()
    options.cli = os.path.abspath(options.cli)
    os.makedirs(options.work, exist_ok=True)
    cap = Cap()
    after = f"prompt | a token | streamed a sweep | peak of {options.memory} | charged"
    for name, head, make in (
            ("synthesize", "shape | parameters | file | `synthesize` | peak", synthesized),
            ("convert", "shape | .pt | file | `convert` | rate | peak | charged of 1 GiB", converted)):
        shapes = getattr(options, name)
        if not shapes:
            continue
        print(f"\n| {head} | {after} |\n|{' --- |' * (head.count('|') + after.count('|') + 2)}", flush=True)
        for shape in shapes:
            print(make(options, cap, shape), flush=True)
    if not cap.is_here:
        print("\nno memory cgroup can be made here: peaks are those of the process, without page cache")


if __name__ == "__main__":
    main()
