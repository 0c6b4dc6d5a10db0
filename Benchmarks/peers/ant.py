#!/usr/bin/env python3
"""Measures transformers with accelerate's disk offload, and Leafcutter, on one random CPM-Ant under the same memory limits.

    ant.py --leafcutter BINARY --work FOLDER --results FILE --budgets 1GiB,2GiB [--layers 24]
"""

import argparse
import importlib.metadata
import pathlib
import subprocess
import sys

import ant_model
import leafcutter
import measure

HERE = pathlib.Path(__file__).parent
TYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# Python with torch and transformers, then the token table in its type, and once more while it is loaded.
BESIDE_BLOCKS = 512 << 20
TABLE_COPIES = 2.2
TIMEOUT = 900


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leafcutter", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--results", required=True)
    parser.add_argument("--budgets", type=measure.sizes, required=True)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=9)
    parser.add_argument("--types", default="float16,float32")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()

    # The checkpoint, as much again for float16, half for int8.
    needed = 2.6 * ant_model.byte_count(arguments.layers)
    with measure.scratch(arguments.work / "ant", needed, arguments.keep) as folder:
        checkpoint, models = prepare(arguments.leafcutter, folder, arguments.layers)
        results = measure.Results(arguments.results)
        for budget in arguments.budgets:
            for weights, model in models.items():
                leafcutter.measure_leafcutter(results, f"Leafcutter {weights}", arguments.leafcutter, model, budget,
                                              arguments.rows, arguments.tokens)
            for dtype in arguments.types.split(","):
                offload(results, checkpoint, budget, dtype, arguments)


def prepare(binary, folder, layers):
    """The checkpoint, and Leafcutter's models made of it; what is there already is used again."""
    checkpoint = folder / f"ant-{layers}"
    if not (checkpoint / "config.json").exists():
        print(f"Writing a random CPM-Ant of {layers} layers, {ant_model.byte_count(layers) / 1e9:.2f} GB ...", flush=True)
        ant_model.write(checkpoint, layers)
    models = {weights: folder / f"ant-{layers}-{weights}.leaf" for weights in ("int8", "f16")}
    for weights, model in models.items():
        if not model.exists():
            subprocess.run([binary, "convert", checkpoint, model, "--weights", weights, "--quiet"], check=True)
    return checkpoint, models


def offload(results, checkpoint, budget, dtype, arguments):
    table = ant_model.TABLE_ROWS * ant_model.DIM
    resident = max(0, budget - BESIDE_BLOCKS - int(TABLE_COPIES * table * TYPE_BYTES[dtype]))
    ids = ",".join(map(str, leafcutter.prompt_ids(arguments.rows)))
    run = measure.Run(budget, [
        sys.executable, HERE / "ant_accelerate.py", checkpoint, "--offload", checkpoint.with_name("offload"),
        "--resident", resident, "--dtype", dtype, "--ids", ids, "--tokens", arguments.tokens], TIMEOUT)
    facts = {
        "version": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("transformers", "accelerate", "torch")),
        "model": checkpoint.name, "model_bytes": ant_model.byte_count(arguments.layers),
        "prompt_rows": arguments.rows, "disk_bytes_per_second": measure.disk_rate(next(checkpoint.glob("*.safetensors"))),
    }
    answers = run.json_lines()
    facts |= {"ids": answers[0]["ids"], "blocks_on_disk": answers[0]["on_disk"]} if answers else {}
    results.add(f"transformers + accelerate {dtype}", run, facts,
                *([answers[0]["prefill_seconds"], answers[0]["decode_seconds"]] if answers else ([], [])))


if __name__ == "__main__":
    main()
