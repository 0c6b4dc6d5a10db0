#!/usr/bin/env python3
"""What a timeline of `leafcutter generate --trace` or `bench --trace` says about the disk.

    Benchmarks/trace.py TRACE.json

Prints the time in which no read was in flight: over all decoding steps, the longest such gap, and what lies around the
moments at which one step ends and the next begins. Then where the compute threads' time went.
"""
import json
import sys


def busy(reads):
    """The union of the reads' intervals, as sorted disjoint pairs."""
    union = []
    for begin, end in sorted(reads):
        if union and begin <= union[-1][1]:
            union[-1][1] = max(union[-1][1], end)
        else:
            union.append([begin, end])
    return union


def gaps(union, begin, end):
    """The intervals within [begin, end] that the union leaves free."""
    place = begin
    for first, last in union:
        if last <= begin or first >= end:
            continue
        if first > place:
            yield place, first
        place = max(place, last)
    if place < end:
        yield place, end


def main(path):
    trace = json.load(open(path))
    events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    interval = lambda e: (e["ts"], e["ts"] + e["dur"])
    steps = sorted(interval(e) for e in events if e["cat"] == "sweep" and e["name"].startswith("decode"))
    if len(steps) < 2:
        sys.exit("the trace holds fewer than two decoding steps")
    begin, end = steps[0][0], steps[-1][1]
    inside = [e for e in events if e["ts"] < end and e["ts"] + e["dur"] > begin]
    reads = [e for e in inside if e["cat"] == "disk"]
    union = busy(map(interval, reads))
    idle = list(gaps(union, begin, end))
    milliseconds = lambda microseconds: f"{microseconds / 1000:.2f} ms"

    print(f"decoding steps        {len(steps)}, {milliseconds((end - begin) / len(steps))} each")
    print(f"reads                 {len(reads)}, {sum(e['args']['bytes'] for e in reads) / (end - begin) / 1000:.2f} GB/s over all")
    print(f"no read in flight     {100 * sum(b - a for a, b in idle) / (end - begin):.2f} % of the time")
    if idle:
        longest = max(idle, key=lambda gap: gap[1] - gap[0])
        print(f"longest such gap      {milliseconds(longest[1] - longest[0])}, at {milliseconds(longest[0])}")
    between = [sum(b - a for a, b in gaps(union, s[1], t[0])) for s, t in zip(steps, steps[1:])]
    around = [any(a <= s[1] and t[0] <= b for a, b in union) for s, t in zip(steps, steps[1:])]
    print(f"between two steps     {milliseconds(max(between))} without a read at most; "
          f"{sum(around)} of {len(around)} times reads went on without a break")
    threads = len({e["tid"] for e in inside if e["cat"] == "kernel"})
    for name, chosen in [
        ("waiting for the disk", lambda e: e["cat"] == "wait"),
        ("linear layers, waits included", lambda e: e["name"] == "linear"),
        ("attention", lambda e: e["name"] == "attend"),
        ("norms and quantization", lambda e: e["name"].startswith("normalize")),
    ]:
        share = sum(e["dur"] for e in inside if chosen(e)) / (end - begin) / max(1, threads)
        print(f"{name:31} {100 * share:5.1f} % of a thread's time")
    if trace["otherData"]["dropped"]:
        print(f"the trace is full: {trace['otherData']['dropped']} later events are missing")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
