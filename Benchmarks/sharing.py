#!/usr/bin/env python3
"""Read the model once, score the book: the same items one text at a time and many on a sweep, in one run.

    Benchmarks/sharing.py LEAFCUTTER MODEL.leaf [--memory 1GiB] [--max-read-rate 1GB/s] [--batches 1,32]

Items of C3 (four options at most, each a text that is scored) and LCSTS (three beams, a few tokens), the made-up ones of the
tests over and over. The predictions must be the same bytes for every batch. The last column is what matters: how many times
faster the items were done than one at a time, in the same run on the same machine.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

DATA = pathlib.Path(__file__).parent.parent / "Tests" / "Golden" / "evaluation"
TASKS = ["C3", "LCSTS"]


def items(task, count, path):
    lines = [json.loads(line) for line in (DATA / f"{task}.jsonl").read_text().splitlines() if line.strip()]
    path.write_text("".join(
        json.dumps({**lines[number % len(lines)], "id": number}, ensure_ascii=False) + "\n" for number in range(count)))


def run(arguments, task, data, output, batch):
    command = [arguments.leafcutter, "evaluate", arguments.model, task, data, "--output", output, "--batch", batch, "--json",
               "--quiet", "--memory", arguments.memory]
    if arguments.max_read_rate:
        command += ["--max-read-rate", arguments.max_read_rate]
    if task == "LCSTS":
        command += ["--max-tokens", arguments.max_tokens]
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{task}: {result.stderr}")
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("leafcutter")
    parser.add_argument("model")
    parser.add_argument("--memory", default="1GiB")
    parser.add_argument("--max-read-rate", default="1GB/s", help="stands for a common disk; empty for the disk's own rate")
    parser.add_argument("--batches", default="1,32", help="texts on a sweep at most; the first is compared with")
    parser.add_argument("--items", type=int, default=8, help="of each task (default 8)")
    parser.add_argument("--max-tokens", type=int, default=4, help="of a summary (default 4)")
    arguments = parser.parse_args()
    print("| task | items | batch | sweeps | read | seconds | an item | times as fast |\n" + "| --- " * 8 + "|")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for task in TASKS:
            items(task, arguments.items, folder / "items.jsonl")
            first = predictions = None
            for batch in arguments.batches.split(","):
                report = run(arguments, task, folder / "items.jsonl", folder / "predictions.jsonl", batch)
                found = (folder / "predictions.jsonl").read_bytes()
                predictions = predictions or found
                if found != predictions:
                    sys.exit(f"{task}: other predictions with --batch {batch}")
                seconds = report["timing"]["seconds"]
                first = first or seconds
                print(f"| {task} | {report['items']} | {batch} | {report['timing']['sweeps']} | "
                      f"{report['io']['bytes_read'] / 1e9:.1f} GB | {seconds:.1f} | {seconds / report['items']:.2f} s | "
                      f"{first / seconds:.2f} |", flush=True)


main()
