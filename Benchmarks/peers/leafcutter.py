#!/usr/bin/env python3
"""Measures Leafcutter on a model under the same limits in the same way.

    leafcutter.py --leafcutter BINARY --model MODEL.leaf --results FILE --budgets 512MiB,1GiB,2GiB
"""

import argparse
import pathlib
import random
import subprocess

import measure

SOFT_PROMPT = 32
TIMEOUT = 1800


def prompt_ids(rows):
    """`<s>` and ordinary tokens, the same each time, that with the soft prompt make `rows` rows."""
    draw = random.Random(1)
    return [6] + [draw.randrange(300, 20000) for _ in range(rows - SOFT_PROMPT - 1)]


def measure_leafcutter(results, name, binary, model, budget, rows, tokens):
    """Generates `tokens` tokens after `rows` rows. Returns the seconds of a token by the name of what ran."""
    run = measure.Run(budget, [
        binary, "generate", model, "--ids", ",".join(map(str, prompt_ids(rows))), "--greedy", "--allow-empty",
        "--max-tokens", tokens, "--memory", budget, "--json", "--quiet"], TIMEOUT)
    facts = {"version": version(binary), "model": model.stem, "model_bytes": model.stat().st_size, "prompt_rows": rows,
             "disk_bytes_per_second": measure.disk_rate(model)}
    answers = run.json_lines()
    facts |= {"ids": answers[0]["ids"]} if answers else {}
    prefill = [answer["timing"]["prefill"] for answer in answers]
    decode = [answer["timing"]["decode"] / (answer["completion_tokens"] - 1)
              for answer in answers if answer["completion_tokens"] > 1]
    results.add(name, run, facts, prefill, decode)
    return {name: decode[0]} if decode else {}


def version(binary):
    return subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leafcutter", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--results", required=True)
    parser.add_argument("--budgets", type=measure.sizes, required=True)
    arguments = parser.parse_args()
    results = measure.Results(arguments.results)
    for budget in arguments.budgets:
        resident = budget >= arguments.model.stat().st_size * 1.1
        measure_leafcutter(results, "Leafcutter int8", arguments.leafcutter, arguments.model, budget,
                           rows=128, tokens=33 if resident else 5)


if __name__ == "__main__":
    main()
