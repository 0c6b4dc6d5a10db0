"""Hands the lines of a job to workers, and writes their answers."""

from __future__ import annotations

import collections
import itertools
import os
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Optional

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from leafcutter._errors import BadInputError, Error, FileError, UsageError
from leafcutter._jobs import BatchResult, Job
from leafcutter._types import Path, Size
from leafcutter.ray._copying import ensure
from leafcutter.ray._worker import ModelSpec, Worker

Report = Callable[[str], Any]
"""Is told, in a sentence, what somebody who watches should know."""

_LEASES_EACH = 2
"""Leases that a worker has: while one ends, the other keeps its readings shared."""
_MOST_DEATHS = 3
"""Workers that a lease may take with it, and that may die in one place without an answer in between."""
_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0
_LEAST_REQUEST_BYTES = 8 << 20
_BYTES_HELD = 32
"""Room that a model has for requests, for each byte of the longest line."""


def batch(
    model: Path,
    requests: Path,
    answers: Path,
    *,
    workers: int = 1,
    resume: bool = False,
    skip_bad: bool = False,
    errors: Optional[Path] = None,
    seed: Optional[int] = None,
    batch: int = 8,
    memory: Optional[Size] = None,
    threads: Optional[int] = None,
    source: Optional[str] = None,
    lease: Optional[int] = None,
    progress: Optional[Callable[[int, int], Any]] = None,
    report: Report = lambda sentence: None,
    kv: Optional[str] = None,
    activations: Optional[str] = None,
    deltas: Any = None,
    delta_alpha: Optional[float] = None,
    prompt_embeddings: Any = None,
    **options: Any,
) -> BatchResult:
    """Answers a file of requests into another on the machines of a Ray cluster.

    Lines, answers and files are those of ``leafcutter.batch``, byte for byte and up to the order of the answers: each
    of the two goes on with what the other began. Only this process writes them. Workers are spread over the machines.
    Lines of a worker that dies go to others. When all lines are handed out, those that are late are given to a second
    worker; the first answer counts, and the other one is compared with it.

    Connect to the cluster by ``ray.init`` before; otherwise Ray looks for one, or begins one on this machine.

    Args:
        model: the .leaf file, at the same path on each machine, this one too.
        workers: how many; each opens a model of its own.
        batch: texts on a reading of a worker's model at most; fewer if memory is short.
        memory: what the library may add to each worker's process.
        threads: compute threads of each worker, which Ray sets aside.
        source: a path or URL to copy the model from where it is missing.
        lease: lines that a worker is given at a time (2 for each text of ``batch``).
        progress: called with the number of requests that are answered, and of all.
        report: called with a sentence when a worker dies or two answers differ.
        options: any other option of ``Model`` for the workers: ``io``, ``max_read_rate``.

    Returns:
        How many requests have answers, and tokens of those that came in this call.

    Raises:
        UsageError, BadInputError, FileError, BudgetError: as ``leafcutter.batch``.
        BadInputError: two machines gave different answers to the same line; raised when all is done.
        FileError: no worker is left. ``resume`` goes on.
        KeyboardInterrupt: at once; what has its answer keeps it.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers answer nothing; give one or more")
    if lease is not None and lease < 1:
        raise UsageError(f"a lease of {lease} lines holds none; give one or more")
    path = os.path.abspath(os.fspath(model))
    ensure(path, source)
    # What decides the answers, for the job and for the models.
    origin = {
        "kv": kv,
        "activations": activations,
        "deltas": deltas,
        "delta_alpha": delta_alpha,
        "prompt_embeddings": prompt_embeddings,
    }
    with Job(path, requests, answers, resume=resume, skip_bad=skip_bad, errors=errors, seed=seed, **origin) as job:
        info = job.info
        if info["done"] == info["requests"]:
            return job.result
        needs = {
            "context": info["context"],
            "logit_rows": max(info["logit_rows"], batch, info["sequences"]),
            "request_bytes": max(_LEAST_REQUEST_BYTES, _BYTES_HELD * info["line_bytes"]),
        }
        spec = ModelSpec(
            path,
            source,
            batch,
            info["sequences"],
            {"memory": memory, "threads": threads, **origin, **needs, **options},
        )
        if not ray.is_initialized():
            ray.init(logging_level="ERROR", log_to_driver=False)
        driver = Driver(job, spec, workers, lease or 2 * batch, threads or 1, report)
        try:
            driver.run(progress or (lambda done, total: None))
        finally:
            driver.close()
        return job.result


@dataclass
class Place:
    """Where a worker is: when it dies, another one comes, unless too many have died."""

    hand: Optional[Hand] = None
    deaths: int = 0


@dataclass(eq=False)
class Hand:
    """A worker, on one machine, until it dies."""

    place: Place
    actor: Any
    node: str
    host: str = ""
    is_open: bool = False
    leases: int = 0

    @property
    def name(self) -> str:
        return self.host or f"node {self.node}"


@dataclass(eq=False)
class Lease:
    """Lines that one worker answers, or two when the first one is late."""

    lines: list[bytes]
    holders: list[Hand] = field(default_factory=list)
    # Who gave the answers that count.
    by: str = ""
    deaths: int = 0


class Driver:
    """A job's workers, and what each of them has in hand."""

    def __init__(self, job: Job, spec: ModelSpec, workers: int, lease: int, cpus: int, report: Report) -> None:
        self._job, self._spec, self._lease_lines, self._report, self._cpus = job, spec, lease, report, cpus
        self._lines: Iterator[bytes] = iter(job)
        self._places = [Place() for _ in range(workers)]
        self._class = ray.remote(num_cpus=cpus, max_concurrency=_LEASES_EACH, max_restarts=0)(Worker)
        # What Ray is asked, and whom: without a lease, to open the model.
        self._asked: dict[Any, tuple[Hand, Optional[Lease]]] = {}
        self._under_way: list[Lease] = []
        self._returned: collections.deque[Lease] = collections.deque()
        self._differences: list[str] = []
        self._last_failure: Optional[Error] = None
        self._last_death = ""

    def run(self, progress: Callable[[int, int], Any]) -> None:
        """Answers what has no answer."""
        late = time.monotonic() + _PATIENCE_SECONDS
        while True:
            self._employ()
            self._hand_out()
            if self._is_done():
                break
            if not self._asked:
                raise self._last_failure or FileError(
                    f"no worker is left, the last one died: {self._last_death}; look at the machines, then resume"
                )
            ready, _ = ray.wait(list(self._asked), num_returns=1, timeout=_POLL_SECONDS)
            for reference in ready:
                self._take(reference, *self._asked.pop(reference))
            self._job.sync()
            info = self._job.info
            progress(info["done"], info["requests"])
            if time.monotonic() > late and not any(hand.is_open for hand in self._hands):
                late = float("inf")
                self._report("no worker is ready yet: it copies or reads the model, or no machine has free processors")
        self._job.sync()
        if self._differences:
            raise BadInputError(
                f"{len(self._differences)} answers came twice with other bytes, the first one {self._differences[0]}"
            )

    def close(self) -> None:
        """Ends the workers."""
        for hand in self._hands:
            self._dismiss(hand)

    # Workers

    @property
    def _hands(self) -> list[Hand]:
        return [place.hand for place in self._places if place.hand is not None]

    def _employ(self) -> None:
        """Gives each place that has no worker, and may have one, a new one on the machine with the fewest."""
        for place in self._places:
            if place.hand is not None or place.deaths >= _MOST_DEATHS:
                continue
            nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= self._cpus]
            if not nodes:
                sentence = f"no machine of the cluster has {self._cpus} processors for a worker; give it fewer threads"
                self._last_failure = self._last_failure or FileError(sentence)
                return
            taken = collections.Counter(hand.node for hand in self._hands)
            node = min((node["NodeID"] for node in nodes), key=lambda node: taken[node])
            strategy = NodeAffinitySchedulingStrategy(node, soft=True)
            actor = self._class.options(scheduling_strategy=strategy).remote()
            place.hand = Hand(place, actor, node)
            self._asked[actor.open.remote(self._spec)] = (place.hand, None)

    def _dismiss(self, hand: Hand) -> None:
        ray.kill(hand.actor)
        hand.is_open = False
        hand.place.hand = None

    def _bury(self, hand: Hand, sentence: str) -> None:
        """Gives up a worker; what else it was asked fails by itself."""
        if hand.place.hand is not hand:
            return
        self._report(f"{sentence} ({hand.name})")
        self._dismiss(hand)
        hand.place.deaths += 1

    # Lines

    def _is_done(self) -> bool:
        if self._under_way or self._returned:
            return False
        # Nobody may be there to ask for the rest.
        rest = self._new_lease()
        if rest is not None:
            self._returned.append(rest)
        return rest is None

    def _hand_out(self) -> None:
        """Gives each worker that is ready as much as it may hold."""
        for hand in self._hands:
            while hand.is_open and hand.leases < _LEASES_EACH:
                lease = self._next_lease(hand)
                if lease is None:
                    break
                lease.holders.append(hand)
                hand.leases += 1
                self._asked[hand.actor.answer.remote(lease.lines)] = (hand, lease)

    def _next_lease(self, hand: Hand) -> Optional[Lease]:
        """What was given back, what nobody has had yet, or what another worker is late with."""
        lease = self._returned.popleft() if self._returned else self._new_lease()
        if lease is not None:
            self._under_way.append(lease)
        elif hand.leases == 0:
            lease = next((late for late in self._under_way if len(late.holders) == 1), None)
        return lease

    def _new_lease(self) -> Optional[Lease]:
        lines = list(itertools.islice(self._lines, self._lease_lines))
        return Lease(lines) if lines else None

    # Answers

    def _take(self, reference: Any, hand: Hand, lease: Optional[Lease]) -> None:
        """Takes what came of something that was asked."""
        try:
            result = ray.get(reference)
        except RayTaskError as failure:
            if not isinstance(failure.cause, Error):
                raise
            # Its model cannot be opened or read: the same would come of it again.
            self._last_failure = failure.cause
            hand.place.deaths = _MOST_DEATHS
            self._bury(hand, f"a worker gave up: {failure.cause}")
        except RayError as failure:
            # Of a traceback, the line that says what it was.
            self._last_death = (str(failure).strip().splitlines() or ["nobody knows why"])[-1].strip()
            self._bury(hand, "a worker died")
        else:
            if lease is None:
                hand.is_open, hand.host = True, result["host"]
            else:
                self._note(hand, lease, result)
            return
        if lease is not None:
            self._give_back(hand, lease)

    def _note(self, hand: Hand, lease: Lease, answers: list[bytes]) -> None:
        hand.leases -= 1
        hand.place.deaths = 0
        lease.holders.remove(hand)
        for answer in answers:
            try:
                self._job.answer(answer)
            except BadInputError as error:
                self._differences.append(f"by {lease.by} and by {hand.name}: {error}")
                self._report(self._differences[-1])
        if not lease.by:
            lease.by = hand.name
            self._under_way.remove(lease)

    def _give_back(self, hand: Hand, lease: Lease) -> None:
        """Hands the lines of a worker that is gone to others, unless another one has them."""
        lease.holders.remove(hand)
        lease.deaths += 1
        if lease.by:
            return
        if lease.deaths >= _MOST_DEATHS:
            raise self._last_failure or FileError(
                f"{lease.deaths} workers died over the same {len(lease.lines)} lines; look at their memory and their "
                "logs, then resume"
            )
        if not lease.holders:
            self._under_way.remove(lease)
            self._returned.append(lease)
