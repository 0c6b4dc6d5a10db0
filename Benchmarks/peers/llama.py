#!/usr/bin/env python3
"""Measures llama.cpp on a random model of CPM-Ant's widths, mapped and loaded, under each memory limit.

    llama.py --bench LLAMA_BENCH --name TEXT --version TEXT --work FOLDER --results FILE --budgets 512MiB,2GiB [--layers 48]
        [--weights Q8_0|Q4_0] [--streamed-prompt 128] [--leafcutter BINARY --leaf MODEL.leaf]

With a model of Leafcutter's, both also decode alternately where both fit: memory's rate wanders from one minute to the next,
so what was measured an hour apart compares nothing.
"""

import argparse
import pathlib
import statistics
import sys

import llama_model
import measure
from leafcutter import measure_leafcutter

# A run whose model fits is short for each token: more of them, and longer prompts, cost little.
RESIDENT = ["-p", "128,512", "-n", "16"]
# Weights that were repacked lie in the program's own memory, and cannot be dropped and read again.
STREAMED = ["-n", "2", "--repack", "0"]
DECODING = ["-p", "0", "-n", "16"]
TURNS = 5
# llama-bench's names, and ours: the page cache decides what stays, or all is read into its own memory.
MODES = {"mmap": "mapped", "none": "loaded"}
TIMEOUT = 1800
# KV cache, activations and the program beside the weights.
BESIDE_WEIGHTS = 512 << 20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", type=pathlib.Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--results", required=True)
    parser.add_argument("--budgets", type=measure.sizes, required=True)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--weights", choices=llama_model.BLOCKS, default="Q8_0")
    # Where pages are read again and again, a prompt takes most of an hour: 0 leaves it out.
    parser.add_argument("--streamed-prompt", type=int, default=128)
    parser.add_argument("--leafcutter", type=pathlib.Path)
    parser.add_argument("--leaf", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()

    needed = llama_model.byte_count(arguments.layers, arguments.weights) + (64 << 20)
    with measure.scratch(arguments.work / "llama", needed, arguments.keep) as folder:
        model = folder / f"llama-{arguments.layers}-{arguments.weights}.gguf"
        if not model.exists():
            print(f"Writing a random llama of {arguments.layers} layers, {needed / 1e9:.1f} GB ...", flush=True)
            llama_model.write(model, arguments.layers, arguments.weights)
        results = measure.Results(arguments.results)
        for budget in arguments.budgets:
            length = RESIDENT if fits(model, budget) else ["-p", arguments.streamed_prompt, *STREAMED]
            for mode in MODES:
                run_bench(results, mode, model, budget, length, repeat=2, arguments=arguments)
        for budget in arguments.budgets:
            if arguments.leaf and fits(model, budget) and fits(arguments.leaf, budget):
                decode_by_turns(model, budget, arguments)


def fits(model, budget):
    return budget >= model.stat().st_size + BESIDE_WEIGHTS


def decode_by_turns(model, budget, arguments):
    """Each program decodes after the other, `TURNS` times; then a table of all turns."""
    results = measure.Results(pathlib.Path(arguments.results).with_suffix(".turns.jsonl"))
    ours = f"Leafcutter {arguments.leaf.stem}"
    turns = []
    for _ in range(TURNS):
        turn = {}
        for mode in MODES:
            turn |= run_bench(results, mode, model, budget, DECODING, repeat=1, arguments=arguments)
        turn |= measure_leafcutter(results, ours, arguments.leafcutter, arguments.leaf, budget, rows=40, tokens=17)
        if len(turn) == len(MODES) + 1:
            turns.append(turn)
    if not turns:
        sys.exit(f"no turn in which all ran; see {results.failures}")
    print(f"\n| seconds a token, alternately | {' | '.join(str(turn + 1) for turn in range(len(turns)))} | median | of {ours}'s, median |")
    print("| --- " * (len(turns) + 3) + "|")
    for name in turns[0]:
        ratios = [turn[name] / turn[ours] for turn in turns]
        cells = [f"{turn[name]:.3f}" for turn in turns]
        print(f"| {name} | {' | '.join(cells)} | {statistics.median(turn[name] for turn in turns):.3f} | "
              f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


def run_bench(results, mode, model, budget, length, repeat, arguments):
    """A line of results for each length of prompt; the tokens' seconds stand in all of them.

    Returns the mean seconds of a token by the name of what ran.
    """
    name = f"{arguments.name}, {MODES[mode]}"
    run = measure.Run(budget, [
        arguments.bench, "-m", model, "-t", measure.cores(), "-lm", mode, "-r", repeat, "-o", "jsonl", *length,
    ], TIMEOUT)
    tests = run.json_lines()
    facts = {"version": arguments.version, "model": model.stem, "model_bytes": model.stat().st_size,
             "disk_bytes_per_second": measure.disk_rate(model)}
    facts |= {"commit": tests[0]["build_commit"], "backend": tests[0]["backends"]} if tests else {}
    decode = [ns / 1e9 / test["n_gen"] for test in tests if test["n_gen"] for ns in test["samples_ns"]]
    prompts = [(test["n_prompt"], [ns / 1e9 for ns in test["samples_ns"]]) for test in tests if test["n_prompt"]]
    for rows, prefill in prompts or [(None, [])]:
        results.add(name, run, {**facts, "prompt_rows": rows}, prefill, decode)
    return {name: statistics.mean(decode)} if decode else {}


if __name__ == "__main__":
    main()
