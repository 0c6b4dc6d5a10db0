"""A model on one machine, which answers what it is sent."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Any, Optional

from leafcutter._errors import BudgetError
from leafcutter._model import Model
from leafcutter._types import Fields
from leafcutter.ray._copying import ensure


@dataclass(frozen=True)
class ModelSpec:
    """How a worker opens the model; it travels to the worker.

    Attributes:
        path: the .leaf file, on the worker's machine.
        source: where to copy it from if it is not there.
        sequences: texts at the same time at most; fewer if memory is short.
        fewest: texts at the same time that one request needs.
        options: any other option of ``Model``.
    """

    path: str
    source: Optional[str] = None
    sequences: int = 8
    fewest: int = 1
    options: Fields = field(default_factory=dict)

    def open(self) -> Model:
        """Opens it for as many texts as fit.

        Raises:
            BudgetError: not even one request fits.
        """
        ensure(self.path, self.source)
        sequences = max(self.sequences, self.fewest)
        while True:
            try:
                return Model(self.path, sequences=sequences, **self.options)
            except BudgetError:
                if sequences <= self.fewest:
                    raise
                sequences = max(self.fewest, sequences // 2)


class Worker:
    """An actor: it holds a model until it ends."""

    def __init__(self) -> None:
        self._model: Optional[Model] = None

    def open(self, spec: ModelSpec) -> dict[str, Any]:
        """Opens the model, and says where and for how much. Apart from ``__init__``, so that an error arrives whole."""
        self._model = spec.open()
        return {"host": socket.gethostname(), "sequences": self._model.sequences}

    def answer(self, lines: list[bytes]) -> list[bytes]:
        """Answers lines of a job; all of them are asked at once, so that each reading of the model is shared."""
        assert self._model is not None
        return list(self._model.answer_lines(lines, ahead=len(lines)))
