"""What every peer's script needs: sizes, disk space, the disk's rate, a run under a memory limit, a line of results."""

import argparse
import concurrent.futures
import contextlib
import json
import mmap
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time

CAP = pathlib.Path(__file__).resolve().parents[2] / "Scripts/with-memory-cap"
CHUNK = 4 << 20
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def size(text):
    """`512MiB` in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
    if not match or match[2] not in UNITS:
        raise argparse.ArgumentTypeError(f"{text} is no size; write 512MiB, 2GiB or bytes")
    return int(float(match[1]) * UNITS[match[2]])


def sizes(text):
    return [size(one) for one in text.split(",")]


@contextlib.contextmanager
def scratch(folder, needed, keep):
    """A folder for large files: refused where the disk has no room for them, removed at the end unless told to `keep` it."""
    folder.mkdir(parents=True, exist_ok=True)
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    free = shutil.disk_usage(folder).free
    if free < needed - held:
        sys.exit(f"{folder}: {(needed - held) / 1e9:.1f} GB of disk space are needed, {free / 1e9:.1f} GB are free; "
                 "free some, or set WORK to a folder on another disk")
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder)


def machine():
    """What `leafcutter bench` says of the machine."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.M)
    return {
        "processor": model[1] if model else os.uname().machine, "threads": cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "instruction_set": "avx512" if "avx512_vnni" in info else "avx2" if "avx2" in info else os.uname().machine,
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def cores():
    return len(os.sched_getaffinity(0))


def disk_rate(path, seconds=3.0, readers=4):
    """Bytes a second of direct 4 MiB reads at places all over the file, or nothing where the file system refuses them."""
    length = os.path.getsize(path)
    if length < CHUNK:
        return None
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return None
    end = time.monotonic() + seconds

    def reader(seed):
        places, buffer, total = random.Random(seed), mmap.mmap(-1, CHUNK), 0
        while time.monotonic() < end:
            total += os.preadv(file, [buffer], places.randrange(length // CHUNK) * CHUNK)
        return total

    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(readers) as pool:
        total = sum(pool.map(reader, range(readers)))
    os.close(file)
    return total / (time.monotonic() - start)


class Run:
    """A command that ran in a memory cgroup of its own of `budget` bytes, the page cache dropped before."""

    def __init__(self, budget, command, timeout, environment=None):
        self.budget = budget
        wrapped = [str(CAP), str(budget), "--", "timeout", str(int(timeout)), *map(str, command)]
        done = subprocess.run(wrapped, capture_output=True, text=True, env={**os.environ, **(environment or {})})
        self.output, self.log, self.status = done.stdout, done.stderr, done.returncode
        facts = re.search(r"\[memcap\] .*peak=([\d.]+)MiB .*disk_read=([\d.]+)GB wall=([\d.]+)s", self.log)
        if not facts:
            sys.exit(self.log.strip() or f"{CAP} failed with {self.status}")
        self.peak = int(float(facts[1]) * (1 << 20))
        self.bytes_read = int(float(facts[2]) * 1e9)
        self.seconds = float(facts[3])

    @property
    def failure(self):
        """Why it did not end well, in the peer's own words; nothing where it did."""
        if self.status == 0:
            return None
        if self.status in (137, -9):
            return "killed: out of memory under this limit"
        if self.status == 124:
            return f"stopped after {self.seconds:.0f} s"
        last = [line for line in self.log.splitlines() if line.strip() and not line.startswith("[memcap]")][-1:]
        return f"failed with {self.status}: {last[0].strip() if last else 'no message'}"

    def json_lines(self):
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]


class Results:
    """Appends lines that `leafcutter bench --from` reads; runs without seconds a token go to a file beside, with the reason."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.failures = self.path.with_suffix(".failures.jsonl")
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, name, run, facts, prefill, decode):
        """One run: what it was (`facts`), and the seconds of its prompts and tokens as far as it came."""
        failure = run.failure or (None if decode else "it gave no figures")
        line = {
            "name": name, "budget": run.budget, **facts, "prefill_seconds": prefill, "decode_seconds_per_token": decode,
            "peak": run.peak, "run_seconds": run.seconds, "run_bytes_read": run.bytes_read, "load": os.getloadavg()[0],
            "machine": machine(), **({"failure": failure} if failure else {}),
        }
        with (self.path if decode else self.failures).open("a") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
        told = [f"{spread(values)} s {what}" for values, what in ((prefill, "a prompt"), (decode, "a token")) if values]
        print(f"{name}, {run.budget / (1 << 30):.2f} GiB: {', '.join(told + [failure] * bool(failure))}; "
              f"peak {run.peak / (1 << 30):.2f} GiB, {run.bytes_read / 1e9:.2f} GB read in {run.seconds:.0f} s", flush=True)


def spread(values):
    mean = sum(values) / len(values)
    return f"{mean:.3g}" if len(values) == 1 else f"{mean:.3g} ({min(values):.3g} to {max(values):.3g})"
