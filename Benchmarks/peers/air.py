#!/usr/bin/env python3
"""Measures AirLLM on a random llama-shaped checkpoint under memory limits.

    air.py --packages FOLDER --work FOLDER --results FILE --budgets 1GiB,2GiB [--layers 5]
"""

import argparse
import os
import pathlib
import subprocess
import sys

import air_model
import measure

HERE = pathlib.Path(__file__).parent
TIMEOUT = 900


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--packages", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--results", required=True)
    parser.add_argument("--budgets", type=measure.sizes, required=True)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=5)
    parser.add_argument("--types", default="float16")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()

    # AirLLM writes the tables once more.
    needed = 2 * air_model.byte_count(arguments.layers)
    with measure.scratch(arguments.work / "air", needed, arguments.keep) as folder:
        checkpoint = folder / f"llama-{arguments.layers}"
        if not (checkpoint / "config.json").exists():
            print(f"Writing a random llama of {arguments.layers} layers, "
                  f"{air_model.byte_count(arguments.layers) / 1e9:.2f} GB ...", flush=True)
            air_model.write(checkpoint, arguments.layers)
        environment = {"PYTHONPATH": arguments.packages}
        split = generate(checkpoint, "float16", arguments.rows, tokens=0)
        subprocess.run(split, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True)

        results = measure.Results(arguments.results)
        for budget in arguments.budgets:
            for dtype in arguments.types.split(","):
                run = measure.Run(
                    budget, generate(checkpoint, dtype, arguments.rows, arguments.tokens), TIMEOUT, environment)
                facts = {
                    "version": "airllm " + installed(arguments.packages), "model": checkpoint.name,
                    "model_bytes": air_model.byte_count(arguments.layers), "prompt_rows": arguments.rows,
                    "disk_bytes_per_second": measure.disk_rate(max(checkpoint.glob("*.safetensors"))),
                }
                answers = run.json_lines()
                results.add(f"AirLLM {dtype}", run, facts,
                            *([answers[0]["prefill_seconds"], answers[0]["decode_seconds"]] if answers else ([], [])))


def generate(checkpoint, dtype, rows, tokens):
    return [sys.executable, HERE / "air_generate.py", checkpoint, "--dtype", dtype, "--rows", str(rows),
            "--tokens", str(tokens)]


def installed(packages):
    return next(pathlib.Path(packages).glob("airllm-*.dist-info")).name.split("-")[1].removesuffix(".dist")


if __name__ == "__main__":
    main()
