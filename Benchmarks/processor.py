#!/usr/bin/env python3
"""Where the processors' time goes while a model decodes at several budgets in turn: nothing else may run beside it.

    Benchmarks/processor.py LEAFCUTTER MODEL.leaf [--budgets 6GiB,8GiB,11GiB] [--turns 3] [--tokens 17]

Seconds of all processors together, for each token, from /proc/stat: computing, the kernel's own, stolen (the hypervisor
needed the processor itself, for instance to copy what is read), and idle, which is waiting for the disk or for another
thread. "If none waited" is the rest shared by all processors: the least that a token could take with this work.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
# Between two looks; decoding's first and last may lie a look outside of it and are left out.
LOOK = 0.05


def look():
    """(time, {what: seconds since boot}), of all processors together."""
    with open("/proc/stat") as stat:
        user, nice, system, idle, iowait, irq, softirq, steal = (int(ticks) / TICK for ticks in stat.readline().split()[1:9])
    return time.monotonic(), {"computing": user + nice, "kernel": system + irq + softirq, "stolen": steal, "idle": idle + iowait}


def measure(leafcutter, model, budget, tokens):
    """Seconds a token by what they went to, a token's seconds, and the bytes read for one."""
    looks = []
    process = subprocess.Popen([leafcutter, "generate", model, "--ids", "6,1000,1001,1002", "--greedy", "--allow-empty", "--json",
                                "--quiet", "--memory", budget, "--max-tokens", str(tokens)], stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        looks.append(look())
        time.sleep(LOOK)
    end = time.monotonic()
    if process.returncode != 0:
        raise SystemExit(f"{leafcutter} generate at {budget}: exit code {process.returncode}")
    report = json.loads(process.stdout.read())
    decode, sweeps = report["timing"]["decode"], report["timing"]["sweeps"] - 1
    inside = [one for one in looks if end - decode + LOOK < one[0] < end - 2 * LOOK]
    (first, before), (last, after) = inside[0], inside[-1]
    token = decode / sweeps
    spent = {what: (after[what] - before[what]) / (last - first) * token for what in before}
    return spent, token, report["io"]["streamed_bytes_per_sweep"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("leafcutter")
    parser.add_argument("model")
    parser.add_argument("--budgets", default="6GiB,8GiB,11GiB")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=17)
    arguments = parser.parse_args()
    budgets = arguments.budgets.split(",")
    runs = {budget: [] for budget in budgets}
    for _ in range(arguments.turns):
        for budget in budgets:
            runs[budget].append(measure(arguments.leafcutter, arguments.model, budget, arguments.tokens))
    print("| budget | a token | read | computing | kernel | stolen | idle | stolen for a GB read | if none waited |\n" + "| --- " * 9 + "|")
    for budget in budgets:
        spent = {what: statistics.mean(run[0][what] for run in runs[budget]) for what in runs[budget][0][0]}
        times = [run[1] for run in runs[budget]]
        gigabytes = runs[budget][0][2] / 1e9
        least = (sum(spent.values()) - spent["idle"]) / os.cpu_count()
        print(f"| {budget} | {statistics.mean(times):.3f} s ({min(times):.3f} to {max(times):.3f}) | {gigabytes:.2f} GB | "
              + " | ".join(f"{seconds:.3f} s" for seconds in spent.values())
              + f" | {spent['stolen'] / gigabytes if gigabytes else 0:.2f} s | {least:.3f} s |")


main()
