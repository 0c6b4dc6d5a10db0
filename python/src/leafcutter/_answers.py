"""Requests of each kind, and answers of many in the order in which they were asked."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, Callable, Optional

from leafcutter import _types
from leafcutter._errors import BusyError, UsageError
from leafcutter._progress import Bar, Progress
from leafcutter._request import Event, Request
from leafcutter._types import Fields
from leafcutter._wire import refuse_bytes, text_or_ids

KINDS = ("generate", "fill", "score", "perplexity", "embed")
"""What may be asked for many texts."""

_BUSY_SECONDS = 0.02


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


class _Asked:
    """A request that is under way."""

    def __init__(self, kind: str, fields: Fields, request: Request) -> None:
        self._kind, self._fields, self.request = kind, fields, request

    def answer(self) -> Any:
        for event in self.request.results():
            return read_answer(self._kind, self._fields, event)
        raise UsageError(f"the library gave no answer to {self._kind}")


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
    bodies = ({**options, **request_fields(kind, request)} for request in requests)
    waiting: collections.deque[_Asked] = collections.deque()
    # What was taken from the input and could not be asked yet.
    held: Optional[Fields] = None
    done = 0
    with Bar(progress, kind, "text", total) as bar:
        try:
            while True:
                while len(waiting) < ahead:
                    if held is None:
                        held = next(bodies, None)
                    if held is None:
                        break
                    try:
                        waiting.append(_Asked(kind, held, start(kind, held)))
                        held = None
                    except BusyError:
                        # Requests of others fill the model: ours are answered first, then it is tried again.
                        if waiting:
                            break
                        time.sleep(_BUSY_SECONDS)
                if not waiting:
                    return
                answer = waiting.popleft().answer()
                done += 1
                bar.show(done, total)
                yield answer
        finally:
            for asked in waiting:
                asked.request.close()
