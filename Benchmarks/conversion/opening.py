#!/usr/bin/env python3
"""How long a model takes from the start of the program to its first request for weights.

usage: opening.py MODEL.leaf [--cli PATH] [--runs N] [--memory SIZE]

`strace` watches `leafcutter generate`: from execve to the first read of the model at or behind its first block. The file's pages are
dropped from the page cache before each run. The processor time up to there is told too: on a busy machine it says what a
quiet one would need.
"""

import argparse
import json
import os
import re
import signal
import statistics
import struct
import subprocess

CALLS = "execve,openat,pread64,preadv,preadv2,io_uring_enter"


def first_block(model):
    """Where the regions before the blocks end."""
    with open(model, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        metadata = json.loads(file.read(length))["__metadata__"]
    return 8 + length + sum(int(region.split("=")[1].split(":")[0]) for region in metadata["regions"].split(";"))


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(options, begin):
    descriptor = os.open(options.model, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    command = [options.cli, "generate", options.model, "--memory", options.memory, "--max-tokens", "1", "今天天气不错，"]
    # -D: the program is our child, and strace a process beside it.
    child = subprocess.Popen(["strace", "-D", "-f", "-ttt", "--seccomp-bpf", "-e", f"trace={CALLS}", *command],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    start, is_direct = None, False
    try:
        for line in child.stderr:
            found = re.match(r"(?:\[pid +\d+\] )?(\d+\.\d+) (\w+)\((.*)", line)
            if not found:
                continue
            time, call, rest = float(found[1]), found[2], found[3]
            if call == "execve":
                start = time
            is_direct |= call == "openat" and os.path.basename(options.model) in rest and "O_DIRECT" in rest
            # The offset is the last argument; a call that has not returned yet is not told with it.
            numbers = [int(number) for number in re.findall(r"\b\d+\b", rest.split(") =")[0])]
            is_weights = is_direct and (call == "io_uring_enter" or (
                call.startswith("pread") and ("unfinished" in rest or numbers[-1] >= begin)))
            if is_weights:
                return time - start, processor_seconds(child.pid)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    raise SystemExit("no read of weights was seen; is strace allowed here?")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--cli", default=os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                      "../../.build/release/leafcutter"))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--memory", default="1GiB")
    options = parser.parse_args()
    begin = first_block(options.model)
    walls, processors = zip(*(run(options, begin) for _ in range(options.runs)))
    print(f"{options.model}: {os.path.getsize(options.model) / 1e9:.2f} GB; start of the program to first read of weights")
    print(f"wall clock      median {statistics.median(walls) * 1e3:.0f} ms, best {min(walls) * 1e3:.0f} ms")
    print(f"processor time  median {statistics.median(processors) * 1e3:.0f} ms (counted in ticks of "
          f"{1000 // os.sysconf('SC_CLK_TCK')} ms)")


if __name__ == "__main__":
    main()
