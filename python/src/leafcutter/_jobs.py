"""Files of requests, answered into other files in as many runs as it takes."""

from __future__ import annotations

import ctypes
import json
import os
import weakref
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Iterator, Optional

from leafcutter import _ffi
from leafcutter._errors import check, warn
from leafcutter._progress import Bar, Progress, reporting
from leafcutter._types import Fields, Path, Size, Speculation, made
from leafcutter._wire import encoded, path_bytes, require_bytes


@dataclass(frozen=True)
class BatchResult:
    """What came of a job.

    Attributes:
        requests: requests in the file.
        done: those that have their answers.
        failed: answers that say why there is none.
        done_before: answers that were there before this call.
        tokens: tokens that were generated and scored in this call.
        speculation: what guessed tokens in this call, and how often it was right, which changes no answer and is not
            compared; empty for a ``Job``, whose models others have.
    """

    requests: int
    done: int
    failed: int
    done_before: int
    tokens: int
    speculation: Speculation = field(default_factory=Speculation, compare=False)


def batch(
    model: Path,
    requests: Path,
    answers: Path,
    *,
    resume: bool = False,
    skip_bad: bool = False,
    errors: Optional[Path] = None,
    seed: Optional[int] = None,
    batch: Optional[int] = None,
    memory: Optional[Size] = None,
    threads: Optional[int] = None,
    progress: Progress = False,
    **options: Any,
) -> BatchResult:
    """Answers a file of requests into another, as ``leafcutter batch`` does.

    Each line of ``requests`` is a request of any kind, ours or a line of OpenAI's batches. Answers are on the disk as
    soon as they are there. However often the work is stopped or killed, the same call with ``resume`` goes on, and the
    answers are those of a call without a stop, byte for byte.

    Args:
        model: a .leaf file.
        requests: one JSON object a line; a regular file, which is read twice.
        answers: the file to write; ``answers.job`` beside it notes which lines are answered.
        resume: go on with what an earlier call began; begin where there is nothing.
        skip_bad: answer a line that makes no sense with an error and go on.
        errors: a file for the answers of requests that failed, once more.
        seed: the job's seed (random, and kept).
        batch: texts at the same time at most (8); fewer if memory is short.
        memory: what the library may add to this process: bytes, ``"2GiB"``, or ``"auto"``.
        progress: True for a bar by tqdm, or a function of requests answered and in total.
        options: any other option of ``Model`` but ``context`` and ``logit_rows``, which the requests decide.

    Returns:
        How many requests have answers; a request that fails is answered by its reason, and raises nothing.

    Raises:
        UsageError: a line makes no sense, or ``answers`` is there and ``resume`` is not set.
        FileError: a file cannot be read or written, or another run has the job.
        BudgetError: it does not fit; ``minimum`` is the smallest budget that works, in bytes.
        KeyboardInterrupt: at once; what has its answer keeps it.

    Warns:
        PerformanceWarning: as ``Model``, when all is done.
    """
    arguments = _arguments(model, requests, answers, errors, resume, skip_bad, seed)
    arguments[1].update(batch=batch, memory=memory, threads=threads, **options)
    paths, body = arguments[0], encoded(arguments[1])
    library = _ffi.library()

    def call(note: Any) -> str:
        text = ctypes.c_void_p()
        check(library.lc_batch(*paths, body, note, None, ctypes.byref(text)))
        return _ffi.take_string(text)

    with Bar(progress, "answering", "request") as bar:
        fields = json.loads(reporting(call, bar))
    warn(fields)
    return made(BatchResult, fields)


class Job:
    """A file of requests whose lines somebody else answers: models of other processes, or of other machines.

    ::

        with Job("ant.leaf", "in.jsonl", "out.jsonl", resume=True) as job:
            for answer in model.answer_lines(job):       # or send the lines, which are bytes, to who has a model
                job.answer(answer)                       # in any order, from anywhere

    Answers are written by the rules of ``batch``, in the same files: each of the two goes on with what the other began.
    Close it by ``with`` or ``close()``.
    """

    def __init__(
        self,
        model: Path,
        requests: Path,
        answers: Path,
        *,
        resume: bool = False,
        skip_bad: bool = False,
        errors: Optional[Path] = None,
        seed: Optional[int] = None,
        progress: Progress = False,
        **options: Any,
    ) -> None:
        """Checks every line, as ``batch`` does. Of the model, header and vocabulary are read.

        Args:
            options: those of the models that will answer which decide their answers: ``kv``, ``activations``,
                ``deltas``, ``delta_alpha``, ``prompt_embeddings``.

        Raises:
            UsageError, BadInputError, FileError: as ``batch``.
        """
        paths, fields = _arguments(model, requests, answers, errors, resume, skip_bad, seed)
        body = encoded({**fields, **options})
        library = _ffi.library()
        owner = os.getpid()

        def call(note: Any) -> int:
            handle = ctypes.c_void_p()
            check(library.lc_job_open(*paths, body, note, None, ctypes.byref(handle)))
            return handle.value or 0

        with Bar(progress, "checking", "request") as bar:
            handle = reporting(call, bar, abandon=lambda handle: _close(handle, owner))
        self._handle = ctypes.c_void_p(handle)
        self._close = weakref.finalize(self, _close, handle, owner)

    def __iter__(self) -> Iterator[bytes]:
        """The lines that have no answer, for ``Model.answer_lines``. Those that make no sense are answered at once."""
        while True:
            text = ctypes.c_void_p()
            status = _ffi.library().lc_job_next(self._handle, ctypes.byref(text))
            check(status)
            if status == _ffi.END:
                return
            yield _ffi.take_string(text).encode("utf-8")

    def answer(self, answer: bytes) -> bool:
        """Takes the answer to a line. It is on the disk when ``sync`` has returned.

        Returns:
            False if the line has this very answer already.

        Raises:
            BadInputError: the line has another answer, which stays; one of the two machines is defective.
            UsageError: this is no answer to a line that was handed out.
            FileError: it cannot be written.
            TypeError: this is no bytes.
        """
        require_bytes(answer, "answer")
        is_new = ctypes.c_int()
        check(_ffi.library().lc_job_answer(self._handle, answer, len(answer), ctypes.byref(is_new)))
        return bool(is_new.value)

    def sync(self) -> None:
        """Waits until all answers that were taken are on the disk."""
        check(_ffi.library().lc_job_sync(self._handle))

    @property
    def info(self) -> Fields:
        """How far it is, and what a model has to be opened for: ``context``, ``sequences``, ``logit_rows``."""
        text = ctypes.c_void_p()
        check(_ffi.library().lc_job_info(self._handle, ctypes.byref(text)))
        info: Fields = json.loads(_ffi.take_string(text))
        return info

    @property
    def result(self) -> BatchResult:
        """How far it is, and tokens of the answers that were taken."""
        return made(BatchResult, self.info)

    def close(self) -> None:
        """Gives the files back; ``resume`` goes on with them. May be called more than once."""
        self._close()

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __reduce__(self) -> str:
        raise TypeError("a job cannot be pickled: its files belong to this process; send its lines")


def _arguments(
    model: Path,
    requests: Path,
    answers: Path,
    errors: Optional[Path],
    resume: bool,
    skip_bad: bool,
    seed: Optional[int],
) -> tuple[tuple[bytes, bytes, bytes], dict[str, Any]]:
    """What calls for jobs have in common: paths, and options."""
    paths = path_bytes(model, "model"), path_bytes(requests, "requests"), path_bytes(answers, "answers")
    return paths, {"resume": resume, "skip_bad": skip_bad, "errors": errors, "seed": seed}


def _close(handle: int, owner: int) -> None:
    # A forked child has the number, not the job.
    if os.getpid() == owner:
        _ffi.library().lc_job_close(handle)
