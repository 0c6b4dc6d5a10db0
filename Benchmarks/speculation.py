#!/usr/bin/env python3
"""Seconds a token and tokens a sweep with and without drafts, by budget and disk rate; every cell's text is that of
`--speculate off`, greedy or sampled, or the script ends with an error.

Usage: Benchmarks/speculation.py LEAFCUTTER MODEL.leaf [--draft NAME=MODE]... [--budgets 512MiB,2GiB] [--tokens 24]
           [--rates 1GB/s] [--sampled SEEDS] [--prompt TEXT] [options of generate]

A rate of "own" is the disk's own. Without --draft: ngram.
"""
import json
import subprocess
import sys


def option(arguments, name, usual=None):
    """Takes an option and its value out of the arguments."""
    if name not in arguments:
        return usual
    place = arguments.index(name)
    value = arguments[place + 1]
    del arguments[place:place + 2]
    return value


def size(bytes_):
    return f"{bytes_ / 2**20:.0f} MiB" if bytes_ < 2**30 else f"{bytes_ / 2**30:.2f} GiB"


def generate(command, *options):
    answer = subprocess.run([*command, *options, "--json", "--quiet"], capture_output=True, text=True, check=False)
    if answer.returncode:
        sys.exit(answer.stderr)
    return json.loads(answer.stdout)


def cell(answer, reference):
    same = answer["ids"] == reference["ids"]
    memory, speculation = answer["memory"], answer["speculation"]
    if not same:
        sys.exit(f"another text with {speculation['mode']}: {answer['ids']} and not {reference['ids']}")
    if memory["peak"] > memory["budget"]:
        sys.exit(f"{memory['peak']} bytes are more than the {memory['budget']} that were promised")
    tokens = max(1, len(answer["ids"]) - 1)
    seconds = answer["timing"]["decode"] / tokens
    gain = reference["timing"]["decode"] / max(answer["timing"]["decode"], 1e-9)
    off = " (off)" if speculation["mode"].startswith("off") and answer is not reference else ""
    return f"{seconds:.3f} s, {speculation['tokens_per_sweep']:.2f}, {gain:.2f} x{off}", memory["peak"]


def main():
    arguments = sys.argv[1:]
    leafcutter, model = arguments[:2]
    del arguments[:2]
    drafts = []
    while "--draft" in arguments:
        drafts.append(option(arguments, "--draft").split("=", 1))
    drafts = drafts or [["n-gram", "ngram"]]
    budgets = option(arguments, "--budgets", "512MiB,2GiB,6GiB").split(",")
    rates = option(arguments, "--rates", "own").split(",")
    tokens = option(arguments, "--tokens", "24")
    seeds = int(option(arguments, "--sampled", "0"))
    prompt = option(arguments, "--prompt", "《登鹳雀楼》王之涣\n")
    command = [leafcutter, "generate", model, prompt, "--max-tokens", tokens, *arguments]
    kinds = [["--greedy"]] + [["--temperature", "0.9", "--top-p", "0.9", "--seed", str(seed)] for seed in range(seeds)]
    print("Each cell: seconds a token after the first, tokens a sweep, times as fast as without drafts.\n")
    print("| disk | memory | text | off | " + " | ".join(name for name, _ in drafts) + " | peak at most |")
    print("| --- " * (5 + len(drafts)) + "|")
    for rate in rates:
        limit = [] if rate == "own" else ["--max-read-rate", rate]
        for budget in budgets:
            for kind in kinds:
                options = [*kind, "--memory", budget, *limit]
                reference = generate(command, *options, "--speculate", "off")
                cells = [cell(reference, reference)]
                for _, mode in drafts:
                    cells.append(cell(generate(command, *options, "--speculate", mode), reference))
                text = "greedy" if kind == ["--greedy"] else f"seed {kind[-1]}"
                peak = size(max(peak for _, peak in cells))
                row = [rate, budget, text, *(text for text, _ in cells), peak]
                print("| " + " | ".join(row) + " |", flush=True)


main()
