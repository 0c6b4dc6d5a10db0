"""Long calls that Ctrl-C interrupts."""

from __future__ import annotations

import threading
from typing import Any, Callable, Optional, TypeVar

_Result = TypeVar("_Result")

POLL_SECONDS = 0.05
"""How long Python waits at most before it looks for signals."""
_GRACE_SECONDS = 2.0


def interruptibly(
    call: Callable[[], _Result],
    *,
    abandon: Optional[Callable[[_Result], Any]] = None,
    cancel: Optional[Callable[[], Any]] = None,
    tick: Optional[Callable[[], Any]] = None,
) -> _Result:
    """Runs a call in a thread of its own and waits for it, so that Ctrl-C ends the wait at once.

    Args:
        abandon: disposes of a result that comes after nobody waits for it any more.
        cancel: makes the call end soon; it is given a moment for that, so that nothing of it is left running.
        tick: is called some times a second while the call lasts.
    """
    lock, done = threading.Lock(), threading.Event()
    results: list[_Result] = []
    failures: list[BaseException] = []
    is_abandoned = False

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: B902: it is raised where the call is waited for
            failures.append(error)
        else:
            with lock:
                if not is_abandoned:
                    results.append(result)
            if not results and abandon is not None:
                abandon(result)
        done.set()

    threading.Thread(target=run, name="leafcutter", daemon=True).start()
    try:
        while not done.wait(POLL_SECONDS):
            if tick is not None:
                tick()
    except BaseException:
        with lock:
            is_abandoned = True
        if results and abandon is not None:
            abandon(results[0])
        if cancel is not None:
            cancel()
            done.wait(_GRACE_SECONDS)
        raise
    if failures:
        raise failures[0]
    return results[0]
