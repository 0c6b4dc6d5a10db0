"""Requests of each kind, and answers of many in the order in which they were asked."""

from __future__ import annotations

import collections
import contextlib
import itertools
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sized
from typing import Any, Callable, Optional, TypeVar

from leafcutter import _types
from leafcutter._errors import BusyError, Cancelled, UsageError
from leafcutter._progress import Bar, Progress
from leafcutter._request import Event, Request
from leafcutter._types import Fields
from leafcutter._wire import refuse_bytes, text_or_ids

KINDS = ("generate", "fill", "score", "perplexity", "embed")
"""What may be asked for many texts."""

_BUSY_SECONDS = 0.02
_Item = TypeVar("_Item")


def request_fields(kind: str, request: Any) -> Fields:
    """The fields of a request: of a dictionary that has them, or of the text that it is about.

    Raises:
        TypeError: it is nothing that this kind is asked with.
    """
    if isinstance(request, Mapping):
        return request
    refuse_bytes(request, "a request")
    if kind == "generate":
        return text_or_ids(request, "prompt", "input_ids")
    if kind == "fill":
        if not isinstance(request, str):
            raise TypeError(f"a text to fill is {type(request).__name__}; a text with blanks is needed")
        return {"text": request}
    if kind == "score":
        if isinstance(request, str) or not isinstance(request, (tuple, list)) or len(request) != 2:
            raise TypeError("what is scored is a pair of a context and its target, or a dictionary")
        context, target = request
        return {
            **text_or_ids(context, "context", "context_ids"),
            **text_or_ids(target, "target", "target_ids"),
        }
    return text_or_ids(request, "text", "input_ids")


def read_answer(kind: str, fields: Fields, event: Event) -> Any:
    """What a result says.

    Args:
        fields: of the request.
    """
    if kind == "generate":
        return _types.generation(event.fields)
    if kind == "fill":
        return _types.filling(event.fields)
    if kind == "score":
        return _types.made(_types.Choice if "choice" in event.fields else _types.Score, event.fields)
    if kind == "perplexity":
        return _types.made(_types.Perplexity, event.fields)
    if event.floats is None:
        raise UsageError("the library gave no vector")
    return event.floats if fields.get("pool") == "none" else event.floats[0]


def first_result(kind: str, request: Request) -> Event:
    """The one result of a request, once it is there.

    Raises:
        Cancelled: the request was freed before, as when the program ends.
    """
    for event in request.results():
        return event
    raise Cancelled(f"the request was closed before its answer to {kind} came")


def in_turn(
    ask: Callable[[_Item], Request], items: Iterator[_Item], *, ahead: int
) -> Generator[tuple[_Item, Request], None, None]:
    """Items and their requests in the order of the items, of which ``ahead`` are under way at most.

    What the items or ``ask`` raise comes in its turn, too: behind the requests before it.

    Args:
        ask: starts the request of an item.
    """
    waiting: collections.deque[tuple[_Item, Request]] = collections.deque()
    # What was taken from the input and could not be asked yet.
    held: list[_Item] = []
    # Ends the input, and is raised after the answers to what stands before it.
    failure: Optional[Exception] = None
    try:
        while True:
            while failure is None and len(waiting) < ahead:
                try:
                    held = held or list(itertools.islice(items, 1))
                except Exception as error:  # noqa: B902: whatever the caller's iterable raises
                    failure = error
                if not held:
                    break
                try:
                    waiting.append((held[0], ask(held[0])))
                    held.clear()
                except BusyError:
                    # Requests of others fill the model: ours are answered first, then it is tried again.
                    if waiting:
                        break
                    time.sleep(_BUSY_SECONDS)
                except Exception as error:  # noqa: B902: raised when its turn comes
                    failure = error
            if waiting:
                yield waiting.popleft()
            elif failure is not None:
                raise failure
            else:
                return
    finally:
        for _, request in waiting:
            request.close()


def in_order(
    start: Callable[[str, Fields], Request],
    kind: str,
    requests: Iterable[Any],
    options: Fields,
    *,
    ahead: int,
    progress: Progress,
) -> Iterator[Any]:
    """Answers in the order of the requests, of which ``ahead`` are under way at most."""
    total = len(requests) if isinstance(requests, Sized) else None
    bodies: Iterator[Fields] = ({**options, **request_fields(kind, request)} for request in requests)
    asked = in_turn(lambda fields: start(kind, fields), bodies, ahead=ahead)
    with Bar(progress, kind, "text", total) as bar, contextlib.closing(asked):
        for done, (fields, request) in enumerate(asked, 1):
            answer = read_answer(kind, fields, first_result(kind, request))
            bar.show(done, total)
            yield answer
