#!/usr/bin/env python3
"""Compares `leafcutter convert` with what the disk can do.

The limit: the bytes of the checkpoint's weights are read with O_DIRECT, 8 MiB at a time, while as many bytes as the model file
has are written with O_DIRECT, 4 MiB at a time, by another thread; it ends with fsync. Tried with one and with four reads at a
time; the faster counts. The conversion does the same work and computes besides. Both run in turn, several times; medians are
compared. The page cache holds nothing of the checkpoint when either begins.

Where this user may make a memory cgroup, the conversion runs in one of 1 GiB.
"""

import argparse
import json
import mmap
import os
import queue
import re
import statistics
import subprocess
import sys
import threading
import time

READ, WRITE = 8 << 20, 4 << 20


def weight_files(source):
    if os.path.isfile(source):
        return [source]
    return sorted(f"{source}/{name}" for name in os.listdir(source) if name.endswith((".safetensors", ".bin")))


def prepare(paths, target):
    """Leaves nothing to be done for what ran before: a disk may take seconds to discard a deleted file."""
    if os.path.exists(target):
        os.remove(target)
    os.sync()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def limit(paths, result_bytes, scratch, depth):
    """Seconds to read the files and write that many bytes, at the same time."""
    pieces = queue.SimpleQueue()
    descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECT) for path in paths]
    for descriptor, path in zip(descriptors, paths):
        for offset in range(0, os.path.getsize(path), READ):
            pieces.put((descriptor, offset))

    def read():
        buffer = mmap.mmap(-1, READ)
        try:
            while True:
                descriptor, offset = pieces.get_nowait()
                os.preadv(descriptor, [buffer], offset)
        except queue.Empty:
            pass

    def write():
        buffer = mmap.mmap(-1, WRITE)
        for begin in range(0, WRITE, 4096):
            buffer[begin:begin + 4096] = os.urandom(4096)
        target = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DIRECT, 0o644)
        for offset in range(0, result_bytes, WRITE):
            os.pwritev(target, [buffer], offset)
        os.fsync(target)
        os.close(target)

    began = time.monotonic()
    threads = [threading.Thread(target=read) for _ in range(depth)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    for descriptor in descriptors:
        os.close(descriptor)
    os.remove(scratch)
    return seconds


def convert(cli, source, target, cap):
    """Seconds, and the peak of memory in MiB."""
    began = time.monotonic()
    done = subprocess.run(cap + [cli, "convert", source, target, "--no-resume", "--json", "--quiet"],
                          capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"convert failed: {done.stderr}")
    if cap:
        told = dict(re.findall(r"(\w+)=([\d.]+)", done.stderr))
        return float(told["wall"]), float(told["peak"])
    return seconds, json.loads(done.stdout)["peak_bytes"] / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cli", default="../../.build/release/leafcutter")
    parser.add_argument("--shape", default="1b")
    parser.add_argument("--work", required=True)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    here = os.path.dirname(os.path.abspath(__file__))
    maker = os.path.join(here, "make_checkpoint.py")
    sources = {"hf": f"{options.work}/hf-{options.shape}", "cpm-live": f"{options.work}/live-{options.shape}"}
    for form, path in sources.items():
        ready = f"{path}/config.json" if form == "hf" else path + ".json"
        if not os.path.exists(ready):
            subprocess.run([sys.executable, maker, form, options.shape, path], check=True)
    sources["cpm-live"] += ".pt"

    target, scratch = f"{options.work}/out.leaf", f"{options.work}/scratch"
    cap = [os.path.join(here, "../../Scripts/with-memory-cap"), "1G", "--no-drop", "--"]
    has_cap = subprocess.run(cap + ["true"], capture_output=True).returncode == 0
    cap = cap if has_cap else []
    print(f"{'form':9} {'read':>9} {'written':>9} {'limit':>8} {'convert':>8} {'reached':>8} {'peak':>9}   each run: limit, convert")
    for form, source in sources.items():
        paths = weight_files(source)
        prepare(paths, target)
        convert(options.cli, source, target, cap)
        sizes = sum(map(os.path.getsize, paths)), os.path.getsize(target)
        limits, conversions = [], []
        for _ in range(options.runs):
            tries = []
            for depth in (1, 4):
                prepare(paths, target)
                tries.append(limit(paths, sizes[1], scratch, depth))
            limits.append(min(tries))
            prepare(paths, target)
            seconds, peak = convert(options.cli, source, target, cap)
            conversions.append(seconds)
        reached = statistics.median(limits) / statistics.median(conversions)
        runs = "  ".join(f"{a:.2f}, {b:.2f}" for a, b in zip(limits, conversions))
        print(f"{form:9} {sizes[0] / 1e9:6.2f} GB {sizes[1] / 1e9:6.2f} GB {statistics.median(limits):6.2f} s"
              f" {statistics.median(conversions):6.2f} s {reached:7.0%} {peak:5.0f} MiB   {runs}", flush=True)
    print("peak: page cache, page tables and process, in a memory cgroup of 1 GiB" if has_cap
          else "peak: of the process, without page cache; no memory cgroup can be made here")
    os.remove(target)


if __name__ == "__main__":
    main()
