#!/usr/bin/env python3
"""Throughput of 1, 2, 3 workers of a Ray cluster on slow disks: every worker reads at most at a given rate.

    Benchmarks/cluster.py MODEL.leaf [--rate 20MB/s] [--workers 1,2,3] [--lines 96] [--batch 4]

Needs leafcutter with Ray (pip install leafcutter-*.whl 'ray[data]'). The nodes are on this machine, so what is measured
is whether workers hold each other up: a rate that the machine's disk and processors have several times over stands for
disks of their own. The answers must be the same bytes for every number of workers. Time is counted from the first
answers to the last ones, for the requests in between: starting Ray and opening the model are not part of it.
"""
import argparse
import json
import os
import pathlib
import tempfile
import time

import ray
from ray.cluster_utils import Cluster

import leafcutter
import leafcutter.ray

NODE = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
TOKENS = 4


def smallest(model):
    """The budget in which least of the model stays in memory."""
    try:
        leafcutter.Model(model, memory="8MiB", context=64, logit_rows=4)
    except leafcutter.BudgetError as error:
        return error.minimum
    raise SystemExit(f"{model} fits into 8 MiB; a larger model is needed")


def run(arguments, workers, folder):
    """Answers the file; returns answers, requests that were timed, and seconds."""
    output, seen = folder / f"out-{workers}.jsonl", []

    def note(done, total):
        if not seen or done > seen[-1][1]:
            seen.append((time.monotonic(), done))

    leafcutter.ray.batch(
        arguments.model, folder / "in.jsonl", output, workers=workers, batch=arguments.batch, lease=arguments.batch,
        threads=1, seed=1, memory=arguments.memory or smallest(arguments.model), max_read_rate=arguments.rate,
        progress=note)
    # Until every worker has answered something, not all of them are at work.
    begun = next(entry for entry in seen if entry[1] >= 2 * workers * arguments.batch)
    return sorted(output.read_bytes().splitlines()), seen[-1][1] - begun[1], seen[-1][0] - begun[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--rate", default="20MB/s", help="of each worker's disk (default 20MB/s)")
    parser.add_argument("--memory", help="of each worker (default: the smallest budget)")
    parser.add_argument("--workers", default="1,2,3")
    parser.add_argument("--lines", type=int, default=96)
    parser.add_argument("--batch", type=int, default=4, help="texts on a reading of one worker (default 4)")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.workers.split(",")]
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    for _ in range(max(counts) - 1):
        cluster.add_node(**NODE)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    print("| workers | requests | seconds | requests a second | relative to one | load before |\n" + "| --- " * 6 + "|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with (folder / "in.jsonl").open("w", encoding="utf-8") as file:
            for number in range(arguments.lines):
                request = {"id": number, "kind": "generate", "prompt": f"春{number}", "max_tokens": TOKENS, "eos_id": 0}
                file.write(json.dumps(request, ensure_ascii=False) + "\n")
        first = rate = None
        for count in counts:
            load = os.getloadavg()[0]
            answers, requests, seconds = run(arguments, count, folder)
            first, rate = first or answers, rate or requests / seconds
            if answers != first:
                raise SystemExit(f"{count} workers give other answers")
            print(f"| {count} | {requests} | {seconds:.1f} | {requests / seconds:.2f} | "
                  f"{requests / seconds / rate:.2f} | {load:.1f} |", flush=True)
    ray.shutdown()
    cluster.shutdown()


main()
