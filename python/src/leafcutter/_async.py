"""Requests of an event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Optional

from leafcutter._request import Event, Request

_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.001, 0.05


async def next_event(request: Request) -> Optional[Event]:
    """The next event, or None when nothing more comes. The loop goes on meanwhile.

    The library is asked without waiting, at first each millisecond and then less often: an event is taken at most a
    sixteenth later than it came, no thread waits for it, and thousands of requests cost little.

    Raises:
        Error: the request failed.
    """
    began = time.monotonic()
    while True:
        event = request.poll(0)
        if event is not None or request.ended:
            return event
        waited = time.monotonic() - began
        await asyncio.sleep(min(max(waited / 16, _SHORTEST_SECONDS), _LONGEST_SECONDS))
