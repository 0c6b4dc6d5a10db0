"""Memory against speed, as a picture."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from leafcutter._errors import BadInputError, UsageError
from leafcutter._types import Fields, Path
from leafcutter._wire import path_bytes

Results = Union[Path, Fields, Iterable[Fields]]

_GIBIBYTE = 1 << 30


def plot_memory_speed(results: Results, *, axes: Optional[Any] = None) -> Any:
    """Draws seconds a token against the memory that the model may use. Needs matplotlib.

    Args:
        results: what ``leafcutter bench`` writes with ``--format json`` or ``jsonl``: the path of such a file, or what
            it holds; or any dictionaries with ``budget`` (bytes) and ``decode_seconds_per_token`` (a number, or a list
            of them, whose spread is drawn). ``predicted_seconds_per_token`` becomes a dotted line, and ``name`` tells
            programs apart.
        axes: where to draw; a new figure if it is not given.

    Returns:
        matplotlib's axes.
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise UsageError("a plot needs matplotlib, which is not installed; pip install matplotlib") from None
    series: dict[str, list[Fields]] = {}
    for run in _runs(results):
        series.setdefault(run.get("name") or "leafcutter", []).append(run)
    if not series:
        raise BadInputError("there are no results to draw")
    if axes is None:
        _, axes = pyplot.subplots()
    for name, runs in series.items():
        runs.sort(key=lambda run: float(run["budget"]))
        memory = [run["budget"] / _GIBIBYTE for run in runs]
        times = [_seconds(run) for run in runs]
        means = [statistics.fmean(one) for one in times]
        spread = [statistics.stdev(one) if len(one) > 1 else 0.0 for one in times]
        line = axes.errorbar(memory, means, yerr=spread, marker="o", capsize=3, label=name)
        predicted = [
            (at, run["predicted_seconds_per_token"])
            for at, run in zip(memory, runs)
            if run.get("predicted_seconds_per_token") is not None
        ]
        if predicted:
            axes.plot(*zip(*predicted), ":", color=line[0].get_color(), label=f"{name}, predicted")
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("memory that the model may use (GiB)")
    axes.set_ylabel("seconds a token")
    axes.grid(True, alpha=0.3)
    axes.legend()
    return axes


def _runs(results: Results) -> list[Fields]:
    if isinstance(results, (str, os.PathLike)):
        with open(path_bytes(results, "results"), encoding="utf-8") as file:
            results = _parsed(file.read(), os.fspath(results))
    if isinstance(results, Mapping):
        results = results["runs"] if "runs" in results else [results]
    runs = list(results)
    for run in runs:
        if not isinstance(run, Mapping) or not {"budget", "decode_seconds_per_token"} <= run.keys():
            raise BadInputError("a result needs 'budget' and 'decode_seconds_per_token', as bench writes them")
    return runs


def _parsed(text: str, path: str) -> Union[Fields, list[Fields]]:
    try:
        parsed: Fields = json.loads(text)
        return parsed
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise BadInputError(f"{path} holds no JSON; bench writes it with --format json") from None


def _seconds(run: Fields) -> list[float]:
    seconds = run["decode_seconds_per_token"]
    times = [float(one) for one in seconds] if isinstance(seconds, (list, tuple)) else [float(seconds)]
    if not times:
        raise BadInputError("a result has no times in 'decode_seconds_per_token'")
    return times
