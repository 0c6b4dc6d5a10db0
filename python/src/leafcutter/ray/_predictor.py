"""For datasets of Ray: a column of texts in, columns of answers out."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Mapping, Optional

import numpy as np

from leafcutter._answers import KINDS, first_result, in_turn, read_answer
from leafcutter._errors import BadInputError, Cancelled, Error, FileError, UsageError
from leafcutter._types import Fields, Path, Size
from leafcutter.ray._worker import ModelSpec

Columns = dict[str, Any]
"""Columns of a batch by name; numpy arrays, one entry a row."""

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "generate": ("prompt",),
    "fill": ("text",),
    "score": ("context", "target"),
    "perplexity": ("text",),
    "embed": ("text",),
}


class Predictor:
    """Answers the rows of a dataset; one to a worker, which keeps its model open.

    ::

        dataset.map_batches(
            leafcutter.ray.Predictor, batch_size=256, concurrency=3, num_cpus=2,
            fn_constructor_kwargs={"model": "/data/ant.leaf", "memory": "2GiB", "sequences": 64, "max_tokens": 50},
        )

    All rows of a batch share readings of the model: give it hundreds. It adds columns to those that are there:

    - ``generate``: ``answer``, ``finish_reason``, ``completion_tokens``; ``fill``: ``answer``
    - ``score``: ``logprob``; ``perplexity``: ``perplexity``
    - ``embed``: ``embedding``, float32 [rows, width]
    - ``error``: why a row has no answer, empty if it has; its other columns are empty or NaN then
    """

    def __init__(
        self,
        model: Path,
        *,
        kind: str = "generate",
        columns: Optional[Mapping[str, str]] = None,
        source: Optional[str] = None,
        memory: Optional[Size] = None,
        context: Optional[int] = None,
        sequences: int = 8,
        threads: Optional[int] = None,
        model_options: Optional[Fields] = None,
        **options: Any,
    ) -> None:
        """
        Args:
            model: the .leaf file, on the worker's machine.
            kind: ``"generate"``, ``"fill"``, ``"score"``, ``"perplexity"`` or ``"embed"``.
            columns: for fields of the request, the columns that hold them: ``{"prompt": "title", "seed": "row"}``; the
                fields themselves (``prompt``; ``text``; ``context`` and ``target``) if not given.
            source: a path or URL to copy the model from if it is not there.
            memory: what the library may add to the worker.
            context: tokens of a text at most (512).
            sequences: texts on a reading of the model at most; fewer if memory is short.
            model_options: any other option of ``Model``.
            options: for all requests, such as ``max_tokens``.

        Raises:
            Error: the model cannot be copied or opened.
        """
        if kind not in KINDS:
            raise UsageError(f"there is no kind {kind!r} of many requests; there are {', '.join(KINDS)}")
        self._kind, self._options = kind, options
        self._columns = dict(columns) if columns else {name: name for name in _FIELDS[kind]}
        given = {"memory": memory, "context": context, "threads": threads, **(model_options or {})}
        self._model = ModelSpec(os.fspath(model), source, sequences, options=given).open()

    def __call__(self, batch: Columns) -> Columns:
        """Answers one batch."""
        missing = [column for column in self._columns.values() if column not in batch]
        if missing:
            raise UsageError(f"the dataset has no column {missing[0]!r}; it has {', '.join(map(repr, batch))}")
        count = len(next(iter(batch.values()))) if batch else 0
        rows = [{name: _plain(batch[column][row]) for name, column in self._columns.items()} for row in range(count)]
        answers, errors = self._answers([{**self._options, **row} for row in rows])
        return {**batch, **self._read(answers), "error": np.array(errors, dtype=object)}

    def _answers(self, requests: list[dict[str, Any]]) -> tuple[list[Any], list[str]]:
        """An answer or an error for each request; what the model itself cannot do is raised."""
        start = self._model._start  # noqa: SLF001: of this package
        answers: list[Any] = []
        errors: list[str] = []

        def ask(fields: dict[str, Any]) -> Any:
            try:
                return start(self._kind, fields)
            except (UsageError, BadInputError) as error:
                return _Refused(error)

        with contextlib.closing(in_turn(ask, iter(requests), ahead=max(1, len(requests)))) as asked:
            for fields, request in asked:
                try:
                    answers.append(read_answer(self._kind, fields, first_result(self._kind, request)))
                    errors.append("")
                except (Cancelled, FileError, BadInputError):
                    raise
                except Error as error:
                    answers.append(None)
                    errors.append(str(error))
        return answers, errors

    def _read(self, answers: list[Any]) -> Columns:
        """The columns that answers become."""
        if self._kind == "embed":
            width = self._model.info["dim_model"]
            missing = np.full(width, np.nan, np.float32)
            vectors = [missing if answer is None else answer for answer in answers]
            return {"embedding": np.stack(vectors) if vectors else np.empty((0, width), np.float32)}
        if self._kind in ("score", "perplexity"):
            name = "logprob" if self._kind == "score" else "perplexity"
            return {name: np.array([getattr(answer, name, np.nan) for answer in answers], np.float64)}
        texts = np.array(["" if answer is None else answer.text for answer in answers], dtype=object)
        if self._kind == "fill":
            return {"answer": texts}
        return {
            "answer": texts,
            "finish_reason": np.array([getattr(answer, "finish_reason", "") for answer in answers], dtype=object),
            "completion_tokens": np.array([getattr(answer, "completion_tokens", 0) for answer in answers], np.int64),
        }


class _Refused:
    """A request that was refused at once; its turn says so."""

    def __init__(self, error: Error) -> None:
        self._error = error

    def results(self) -> Any:
        raise self._error

    def close(self) -> None:
        """Nothing is under way."""


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
