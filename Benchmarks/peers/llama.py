#!/usr/bin/env python3
"""Measures llama.cpp on a random model of CPM-Ant's widths, mapped and loaded, under each memory limit.

    llama.py --bench LLAMA_BENCH --name TEXT --version TEXT --work FOLDER --results FILE --budgets 512MiB,2GiB [--layers 48]
"""

import argparse
import pathlib

import llama_model
import measure

# A run whose model fits is short for each token: more of them, and longer prompts, cost little.
RESIDENT = ["-p", "128,512", "-n", "16"]
STREAMED = ["-p", "128", "-n", "2"]
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
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()

    needed = llama_model.byte_count(arguments.layers) + (64 << 20)
    with measure.scratch(arguments.work / "llama", needed, arguments.keep) as folder:
        model = folder / f"llama-{arguments.layers}.gguf"
        if not model.exists():
            print(f"Writing a random llama of {arguments.layers} layers, {needed / 1e9:.1f} GB ...", flush=True)
            llama_model.write(model, arguments.layers)
        results = measure.Results(arguments.results)
        for budget in arguments.budgets:
            for mode, how in (("mmap", "mapped"), ("none", "loaded")):
                run_bench(results, f"{arguments.name}, {how}", mode, model, budget, arguments)


def run_bench(results, name, mode, model, budget, arguments):
    """A line of results for each length of prompt; the tokens' seconds stand in all of them."""
    length = RESIDENT if budget >= model.stat().st_size + BESIDE_WEIGHTS else STREAMED
    run = measure.Run(budget, [
        arguments.bench, "-m", model, "-t", measure.cores(), "-lm", mode, "-r", arguments.repeat, "-o", "jsonl", *length,
    ], TIMEOUT)
    tests = run.json_lines()
    facts = {"version": arguments.version, "model": model.stem, "model_bytes": model.stat().st_size,
             "disk_bytes_per_second": measure.disk_rate(model)}
    facts |= {"commit": tests[0]["build_commit"], "backend": tests[0]["backends"]} if tests else {}
    decode = [ns / 1e9 / test["n_gen"] for test in tests if test["n_gen"] for ns in test["samples_ns"]]
    prompts = [(test["n_prompt"], [ns / 1e9 for ns in test["samples_ns"]]) for test in tests if test["n_prompt"]]
    for rows, prefill in prompts or [(None, [])]:
        results.add(name, run, {**facts, "prompt_rows": rows}, prefill, decode)


if __name__ == "__main__":
    main()
