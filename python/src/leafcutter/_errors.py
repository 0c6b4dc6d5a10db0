"""What may go wrong, as exceptions."""

from __future__ import annotations

import json
import warnings
from typing import Any, Mapping, Optional

from leafcutter import _ffi


class Error(Exception):
    """Anything that Leafcutter reports. ``str(error)`` is one sentence: what is wrong and what to do.

    Attributes:
        message: the sentence.
        code: its kind in one word: ``usage``, ``bad_input``, ``io``, ``budget``, ``too_long``, ``busy``, ``cancelled``
            or ``closed``.
        minimum: bytes of memory that would do, where they are known.
        context: tokens that the model would have to be opened for, where they are known.
    """

    _code = "error"

    def __init__(
        self,
        message: str,
        code: Optional[str] = None,
        minimum: Optional[int] = None,
        context: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self._code
        self.minimum = minimum
        self.context = context

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception crosses processes with its attributes.
        return type(self), (self.message, self.code, self.minimum, self.context)


class UsageError(Error, ValueError):
    """A call makes no sense: an unknown option, a value out of range, a closed model."""

    _code = "usage"


class BadInputError(Error, ValueError):
    """A file or a text is damaged or of the wrong kind."""

    _code = "bad_input"


class FileError(Error, OSError):
    """Reading or writing failed, or the system gives no more threads."""

    _code = "io"


class BudgetError(Error, MemoryError):
    """It does not fit: the memory (``minimum`` would do), or what the model was opened for (``context`` would do)."""

    _code = "budget"


class BusyError(Error):
    """As many requests are under way as the model holds."""

    _code = "busy"


class Cancelled(Error):
    """The request was cancelled, or its model was closed."""

    _code = "cancelled"


class PerformanceWarning(UserWarning):
    """A model works, and its answers are right, but it will be slower than it was asked to be."""


def warn(fields: Mapping[str, Any]) -> None:
    """Warns whoever called the caller of what the library says is not as it was asked."""
    for sentence in fields.get("warnings", ()):
        warnings.warn(sentence, PerformanceWarning, stacklevel=3)


_BY_STATUS: dict[int, type[Error]] = {
    _ffi.USAGE: UsageError,
    _ffi.BAD_INPUT: BadInputError,
    _ffi.IO: FileError,
    _ffi.BUDGET: BudgetError,
    _ffi.CANCELLED: Cancelled,
    _ffi.CLOSED: UsageError,
    _ffi.BUSY: BusyError,
}


def last_error(status: int) -> Error:
    """The exception for this thread's last call, which failed with a status."""
    library = _ffi.library()
    facts = json.loads(library.lc_error_json().decode("utf-8", "replace") or "{}")
    message = facts.get("message") or library.lc_error_message().decode("utf-8", "replace")
    kind = _BY_STATUS.get(status, Error)
    return kind(message or f"the library failed with status {status}", facts.get("code"), **_hints(facts))


def _hints(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in ("minimum", "context") if name in facts}


def check(status: int) -> None:
    """Raises what a status stands for, unless all is well."""
    if status < 0:
        raise last_error(status)
