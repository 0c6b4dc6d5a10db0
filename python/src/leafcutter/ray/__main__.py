"""``python -m leafcutter.ray batch IN OUT --model PATH --workers N``"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from typing import Any, Optional, Sequence

import ray

from leafcutter._errors import BudgetError, Error, UsageError
from leafcutter.ray import batch

_REPORT_SECONDS = 5.0


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command. Returns its exit code, which is that of ``leafcutter batch``."""
    options = vars(_parser().parse_args(arguments))
    options.pop("command")
    address, is_quiet, is_json = options.pop("address"), options.pop("quiet"), options.pop("json")
    # A queue system's SIGTERM stops the work as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    report = _Report(is_quiet)
    try:
        ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        result = batch(**options, progress=report.progress, report=report.tell)
    except KeyboardInterrupt:
        report.tell(f"interrupted after {report.counts}; --resume goes on")
        return 130
    except Error as error:
        print(f"leafcutter.ray: {in_options(str(error))}", file=sys.stderr)
        return 3 if isinstance(error, BudgetError) else 2 if isinstance(error, UsageError) else 1
    if is_json:
        print(json.dumps({**vars(result), "seconds": report.seconds}))
    if result.failed:
        print(
            f"leafcutter.ray: {result.failed} of {result.requests} requests failed; their answers say why",
            file=sys.stderr,
        )
        return 1
    report.tell(f"answered {report.counts} in {report.seconds:.1f} s")
    return 0


def in_options(sentence: str) -> str:
    """An error's sentence with the command's words: an option in place of a parameter."""
    return re.sub(r"; set ([a-z_]+)( to)?", lambda found: "; use --" + found[1].replace("_", "-"), sentence)


class _Report:
    """What is told on standard error."""

    def __init__(self, is_quiet: bool) -> None:
        self._is_quiet, self._began, self._last = is_quiet, time.monotonic(), 0.0
        self.counts = "nothing"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def tell(self, sentence: str) -> None:
        if not self._is_quiet:
            print(f"leafcutter.ray: {sentence}", file=sys.stderr, flush=True)

    def progress(self, done: int, total: int) -> None:
        self.counts = f"{done} of {total} requests"
        if time.monotonic() - self._last >= _REPORT_SECONDS:
            self._last = time.monotonic()
            self.tell(self.counts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m leafcutter.ray", description="Leafcutter on the machines of a Ray cluster.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    batch = commands.add_parser(
        "batch",
        allow_abbrev=False,
        help="answer a file of requests on many machines",
        description="Lines, answers and files are those of `leafcutter batch`; each goes on with what the other began.",
    )

    def option(*names: str, **settings: Any) -> None:
        batch.add_argument(*names, **settings)

    option("requests", metavar="IN", help="the requests, one JSON object a line")
    option("answers", metavar="OUT", help="the answers; OUT.job beside it notes which lines are answered")
    option("--model", required=True, metavar="PATH", help="a .leaf file, at this path on each machine")
    option("--workers", type=int, default=1, metavar="N", help="models, spread over the machines (1)")
    option("--memory", metavar="SIZE", help="of each worker: 512MiB, 2GiB, or auto (what is free)")
    option("--batch", type=int, default=8, metavar="B", help="texts on a reading of one worker at most (8)")
    option("--lease", type=int, metavar="LINES", help="lines that a worker is given at a time (2 for each text)")
    option("--threads", type=int, metavar="N", help="compute threads of each worker")
    option("--source", "--url", metavar="PATH|URL", help="where to copy the model from where it is missing")
    option("--resume", action="store_true", help="go on with what an earlier run began")
    option("--skip-bad", action="store_true", help="answer a line that makes no sense with an error")
    option("--errors", metavar="FILE", help="the answers of requests that failed, once more")
    option("--seed", type=int, metavar="N", help="the job's seed (random, and kept in OUT.job)")
    option("--kv", choices=["f16", "f32"], help="precision of the KV cache")
    option("--activations", choices=["int16", "int8"], help="precision of activations beside int8 weights")
    option("--io", choices=["auto", "map", "direct", "buffered"], help="how weights are read")
    option("--max-read-rate", metavar="RATE", help="of each worker: 200MB/s")
    option("--delta", action="append", dest="deltas", metavar="[NAME=]FILE", help="an adapter, by its whole path")
    option("--delta-alpha", type=float, metavar="X", help="the adapters' alpha")
    option("--address", metavar="HOST:PORT", help="of the cluster (the one of this machine, else a new one)")
    option("--json", action="store_true", help="print what came of it as one JSON object")
    option("-q", "--quiet", action="store_true", help="tell nothing but errors")
    return parser


if __name__ == "__main__":
    sys.exit(main())
