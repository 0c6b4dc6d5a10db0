"""One request to the library, and what comes of it."""

from __future__ import annotations

import ctypes
import json
import os
import threading
import weakref
from typing import Any, Iterator, NamedTuple, Optional

import numpy as np

from leafcutter import _ffi
from leafcutter._errors import Cancelled, check, last_error
from leafcutter._types import Fields, FloatArray

POLL_MILLISECONDS = 50
"""How long the library is waited for at most before Python looks for signals. Its global lock is free meanwhile."""


class Event(NamedTuple):
    """What one event says; copied, so that nothing of the library's is held."""

    kind: int
    text: str
    token: int
    sample: int
    json: bytes
    floats: Optional[FloatArray]

    @property
    def fields(self) -> Fields:
        """Everything about it, in the words of the command line."""
        fields: Fields = json.loads(self.json)
        return fields


class Request:
    """A request that was started. Freed, and so cancelled, when it is closed or forgotten."""

    def __init__(self, model: ctypes.c_void_p, kind: str, body: bytes) -> None:
        """
        Raises:
            UsageError, BadInputError: the request makes no sense.
            BusyError: the model holds as many requests as it may.
        """
        library = _ffi.library()
        handle = ctypes.c_void_p()
        check(library.lc_request_start(model, kind.encode("utf-8", "replace"), body, len(body), ctypes.byref(handle)))
        self._handle = handle
        self._free = weakref.finalize(self, _free, handle.value or 0, os.getpid())
        # Events go to one reader: a second thread waits for its turn.
        self._turn = threading.Lock()
        self.ended = False

    def poll(self, milliseconds: int) -> Optional[Event]:
        """The next event; None if none came in time, or if nothing more comes (``ended``).

        Raises:
            Cancelled: it was cancelled, or freed while this waited for it.
            Error: the request failed.
        """
        library, address = _ffi.library(), ctypes.c_void_p()
        with self._turn:
            if self.ended:
                return None
            status = library.lc_request_next(self._handle, milliseconds, ctypes.byref(address))
            # Another thread may have freed it meanwhile: the program's last one, as it ends.
            if status < 0:
                raise last_error(status) if self._free.alive else Cancelled("the request was closed")
            self.ended = status == _ffi.END
        if status != _ffi.OK:
            return None
        try:
            return _event(library, address)
        finally:
            library.lc_event_free(address)

    def next(self) -> Optional[Event]:
        """The next event; waits for it. None when nothing more comes.

        Raises:
            Error: the request failed.
            KeyboardInterrupt: at once, also while the model is read.
        """
        while not self.ended:
            event = self.poll(POLL_MILLISECONDS)
            if event is not None:
                return event
        return None

    def results(self) -> Iterator[Event]:
        """The results of a request, once it is done."""
        try:
            event = self.next()
            while event is not None:
                if event.kind == _ffi.RESULT:
                    yield event
                event = self.next()
        finally:
            self.close()

    def cancel(self) -> None:
        """Ends it with what there is; from any thread."""
        if self._free.alive:
            _ffi.library().lc_request_cancel(self._handle)

    def close(self) -> None:
        """Cancels what has not ended, and frees it. Who waits for it gets ``Cancelled``."""
        self.ended = True
        self._free()


def _free(handle: int, owner: int) -> None:
    # A forked child has the number, not the request.
    if os.getpid() == owner:
        _ffi.library().lc_request_free(handle)


def _event(library: Any, address: ctypes.c_void_p) -> Event:
    rows, columns = ctypes.c_size_t(), ctypes.c_size_t()
    numbers = library.lc_event_floats(address, ctypes.byref(rows), ctypes.byref(columns))
    floats = np.ctypeslib.as_array(numbers, (rows.value, columns.value)).copy() if numbers else None
    return Event(
        library.lc_event_kind_of(address),
        _bytes(library.lc_event_text, address).decode("utf-8"),
        library.lc_event_token(address),
        library.lc_event_sample(address),
        # The library writes it when it is asked, which numbers are too many for.
        b"" if floats is not None else _bytes(library.lc_event_json, address),
        floats,
    )


def _bytes(function: Any, address: ctypes.c_void_p) -> bytes:
    length = ctypes.c_size_t()
    begin = function(address, ctypes.byref(length))
    return ctypes.string_at(begin, length.value) if begin else b""
