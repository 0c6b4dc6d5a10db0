"""How far a long call is."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Callable, Optional, TypeVar, Union

from leafcutter import _ffi
from leafcutter._errors import UsageError
from leafcutter._waiting import interruptibly

_Result = TypeVar("_Result")

Progress = Union[bool, Callable[[int, Optional[int]], Any]]
"""True draws a bar by tqdm; a function is called with what is done and with the total, None where nobody knows it."""


class Bar:
    """Shows progress where it was asked for; a context manager."""

    def __init__(self, progress: Progress, title: str, unit: str, total: Optional[int] = None) -> None:
        """
        Raises:
            UsageError: a bar is wanted and tqdm is not installed.
        """
        self._call = progress if callable(progress) else None
        self._bar: Any = None
        if progress is True:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                raise UsageError(
                    "progress=True draws a bar by tqdm, which is not installed; pip install tqdm, or give a function"
                ) from None
            is_bytes = unit == "B"
            self._bar = tqdm(desc=title, total=total, unit=unit, unit_scale=is_bytes, unit_divisor=1024)

    def show(self, done: int, total: Optional[int] = None) -> None:
        """Shows that ``done`` of ``total`` units are done."""
        if self._call is not None:
            self._call(done, total)
        elif self._bar is not None:
            if total is not None:
                self._bar.total = total
            self._bar.update(done - self._bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def reporting(
    call: Callable[[Any], _Result], bar: Bar, *, abandon: Optional[Callable[[_Result], Any]] = None
) -> _Result:
    """Makes a long call of the library, which tells a function how far it is, and shows that.

    Ctrl-C makes the call end.

    Args:
        call: is handed the function.
        abandon: disposes of a result that comes after nobody waits for it any more.
    """
    is_cancelled = threading.Event()
    state = (0, 0)

    def note(done: int, total: int, _: Optional[int]) -> int:
        nonlocal state
        state = (done, total)
        return 1 if is_cancelled.is_set() else 0

    function = _ffi.ProgressFunction(note)
    result = interruptibly(
        lambda: call(function), abandon=abandon, cancel=is_cancelled.set, tick=lambda: bar.show(*state)
    )
    bar.show(*state)
    return result
