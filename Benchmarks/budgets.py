#!/usr/bin/env python3
"""Runs one model at several budgets, each under a memory cgroup of exactly that size, and holds the runs to their promises.

    Benchmarks/budgets.py LEAFCUTTER MODEL.leaf [--budgets 512MiB,1GiB] [--context 256] [--max-read-rate 1GB/s]

Before each run the page cache is dropped. Every few seconds it is stopped for a moment and the disk measured meanwhile
(disk/sweep.c), since a shared disk does not give the same from one minute to the next: past the page cache, as a sweep reads, alone
and with every byte added up once, which is the least that can be done with it. A run must give
the text of the first one, write nothing, stay below its budget, and read in each decoding sweep what the plan says: the
model less what is pinned. The rate is that of decoding alone: bytes of a sweep by seconds of a token, stops not counted.
"Predicted" is what plan said before the run; "with the disk as it was" what it would have said of the disk that was then
measured beside the run.
Needs root and memory cgroups (Scripts/with-memory-cap).
"""
import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

DISK = pathlib.Path(__file__).parent.parent / ".build/benchmarks/sweep"
RUNS, STOPS = 2.5, 1.0  # seconds between two stops, and of each
CAP = pathlib.Path(__file__).parent.parent / "Scripts" / "with-memory-cap"
TITLE = "《登鹳雀楼》王之涣\n"


def size(text):
    number, unit = re.fullmatch(r"([0-9.]+)(MiB|GiB)", text).groups()
    return int(float(number) * (1 << 20 if unit == "MiB" else 1 << 30))


def run(command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {result.returncode}\n{result.stderr}")
    return result


def disk_rates(model):
    """Bytes a second: reading alone, and with every byte added up."""
    return [float(rate) for rate in run([DISK, model, STOPS]).stdout.split()]


def run_beside_disk(command, model):
    """Its output, and (begin, end, rates of the disk) of each stop, in seconds before its end."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    stops = []
    try:
        while True:
            try:
                out, errors = process.communicate(timeout=RUNS)
                break
            except subprocess.TimeoutExpired:
                begin = time.monotonic()
                os.killpg(process.pid, signal.SIGSTOP)
                rates = disk_rates(model)
                os.killpg(process.pid, signal.SIGCONT)
                stops.append((begin, time.monotonic(), rates))
    finally:
        # Whoever ends this program in a stop leaves nothing that sleeps on.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            os.killpg(process.pid, signal.SIGCONT)
            process.wait()
    end = time.monotonic()
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{errors}")
    return out, errors, [(end - first, end - last, rates) for first, last, rates in stops]


def measure(leafcutter, model, budget, context, prompt, rate):
    length = len(json.loads(run([leafcutter, "tokenize", model, prompt, "--json"]).stdout)["ids"]) + 1
    # Every cached row counts: the soft prompt's 32, the prompt, and all tokens but the last.
    tokens = context - 32 - length + 1
    limit = ["--max-read-rate", rate] if rate else []
    before = json.loads(run([leafcutter, "plan", model, "--memory", budget, "--context", context, "--json", "--quiet",
                             *limit]).stdout)
    out, errors, stops = run_beside_disk(
        [CAP, size(budget), "--", leafcutter, "generate", model, prompt, "--greedy", "--json", "--quiet", "--memory", budget,
         "--max-tokens", tokens, *limit], model)
    report = json.loads(out)
    charge = re.search(r"peak=([0-9.]+)MiB failcnt=(\d+)", errors)
    sweeps, timing = report["timing"]["sweeps"], report["timing"]

    def running(last, first):
        """Seconds between two times before the end, stops taken off."""
        return first - last - sum(max(0, min(begin, first) - max(last, end)) for begin, end, _ in stops)

    seconds = running(0, timing["decode"]) / (sweeps - 1)
    measured = [rates for begin, _, rates in stops if begin < timing["decode"]] or [disk_rates(model)]
    disk, touched = (statistics.mean(rates) for rates in zip(*measured))
    least, most = (choose(rates[0] for rates in measured) for choose in (min, max))
    if rate:
        disk = touched = float(rate.removesuffix("GB/s")) * 1e9
    streamed = report["io"]["streamed_bytes_per_sweep"]
    reading, computing = streamed / disk, before["predicted"]["computing_seconds_per_token"]
    beside = {what: 0 if rate else before[f"cost_of_{what}"] for what in ("computing", "reading")}
    everything = before["streamed_bytes_per_sweep"] + before["parts"]["pinned"]
    # All that is not promised to something else could be pinned.
    left = before["parts"]["pinned"] + before["budget"] - sum(before["parts"].values())
    # The first sweep reads everything; the last ones may have begun the next.
    expected = everything + (sweeps - 1) * streamed
    slots = before["parts"]["slots"]
    # Resident tensors, and the rows of the token table that were looked up.
    rest = (64 << 20) + sweeps * 200_000
    problems = []
    if not expected - 1 <= report["io"]["bytes_read"] <= expected + slots + rest:
        problems.append(f"read {report['io']['bytes_read']}, planned {expected}")
    if report["io"]["bytes_written"] != 0:
        problems.append(f"wrote {report['io']['bytes_written']} bytes")
    if report["memory"]["peak"] > report["memory"]["budget"]:
        problems.append("peak above the budget")
    return {
        "name": "Leafcutter int8", "budget": size(budget), "text": report["text"], "sweeps": sweeps,
        "decode_seconds_per_token": [seconds], "prefill_seconds": [running(timing["decode"], timing["decode"] + timing["prefill"])],
        "prompt_rows": 32 + report["prompt_tokens"], "streamed_bytes_per_sweep": streamed,
        "disk_bytes_per_second": disk, "peak": report["memory"]["peak"],
        "charged": int(float(charge[1]) * (1 << 20)), "failcnt": int(charge[2]), "load_seconds": timing["load"],
        "pinned_share_of_rest": before["parts"]["pinned"] / left if left > 0 else 1,
        "disk_least_most": [least, most], "added_up_bytes_per_second": touched,
        "predicted_seconds_per_token": before["predicted"]["seconds_per_token"],
        "predicted_at_this_rate": max(reading + beside["computing"] * computing,
                                    computing + beside["reading"] * reading), "problems": problems,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("leafcutter")
    parser.add_argument("model")
    parser.add_argument("--budgets", default="512MiB,1GiB,2GiB,4GiB,6GiB,8GiB,11GiB")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--prompt", default=TITLE)
    parser.add_argument("--max-read-rate", help="such as 1GB/s: stands for a slower disk, whose rate the share then counts")
    parser.add_argument("--output", help="append a line of JSON for each run")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    subprocess.run(["make", "-s", "-C", pathlib.Path(__file__).parent / "disk", "build"], check=True)
    print("| budget | context | peak | charged | limit hits | read a sweep | pinned of the rest | a token | predicted "
          "| with the disk as it was | reading | disk beside it, least to most | share | added up | share |\n" + "| --- " * 15 + "|")
    first = None
    for budget in arguments.budgets.split(","):
        row = measure(arguments.leafcutter, arguments.model, budget, arguments.context, arguments.prompt,
                      arguments.max_read_rate)
        first = first or row["text"]
        if row["text"] != first:
            row["problems"].append("another text")
        gigabytes = lambda value: f"{value / 1e9:.2f}"
        mebibytes = lambda value: f"{value / (1 << 20):.0f} MiB"
        seconds = row["decode_seconds_per_token"][0]
        rate = row["streamed_bytes_per_sweep"] / seconds
        least, most = row["disk_least_most"]
        print(f"| {budget} | {arguments.context} | {mebibytes(row['peak'])} | {mebibytes(row['charged'])} | {row['failcnt']} | "
              f"{gigabytes(row['streamed_bytes_per_sweep'])} GB | {100 * row['pinned_share_of_rest']:.0f} % | {seconds:.2f} s | "
              f"{row['predicted_seconds_per_token']:.2f} s | {row['predicted_at_this_rate']:.2f} s | {gigabytes(rate)} GB/s | "
              f"{gigabytes(row['disk_bytes_per_second'])}, {gigabytes(least)} to {gigabytes(most)} GB/s | "
              f"{100 * rate / row['disk_bytes_per_second']:.0f} % | {gigabytes(row['added_up_bytes_per_second'])} GB/s | "
              f"{100 * rate / row['added_up_bytes_per_second']:.0f} % |", flush=True)
        for problem in row["problems"]:
            print(f"{budget}: {problem}", file=sys.stderr)
        if arguments.output:
            with open(arguments.output, "a") as lines:
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    print("\nThe text of all:\n" + first)


main()
