"""Finds libleafcutter and declares its functions: the only module that loads it."""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path

LIBRARY = "libleafcutter.so.1"
ABI_MAJOR = 1

# lc_status
OK, TIMEOUT, END = 0, 1, 2
USAGE, BAD_INPUT, IO, BUDGET, CANCELLED, CLOSED, BUSY = -1, -2, -3, -4, -5, -6, -7

# lc_event_kind
PIECE, PROGRESS, RESULT = 1, 2, 3

ProgressFunction = ctypes.CFUNCTYPE(c_int, c_uint64, c_uint64, c_void_p)

_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "lc_abi_version": (c_uint32, []),
    "lc_version": (c_char_p, []),
    "lc_model_open": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "lc_model_close": (None, [c_void_p]),
    # Strings that are given away come as addresses: as c_char_p they could not be freed.
    "lc_model_info": (c_int, [c_void_p, POINTER(c_void_p)]),
    "lc_request_start": (c_int, [c_void_p, c_char_p, c_char_p, c_size_t, POINTER(c_void_p)]),
    "lc_request_next": (c_int, [c_void_p, c_int, POINTER(c_void_p)]),
    "lc_request_cancel": (None, [c_void_p]),
    "lc_request_free": (None, [c_void_p]),
    "lc_event_kind_of": (c_int, [c_void_p]),
    # Texts of events may hold NUL, which c_char_p would end at.
    "lc_event_text": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "lc_event_token": (c_int32, [c_void_p]),
    "lc_event_sample": (c_int32, [c_void_p]),
    "lc_event_json": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "lc_event_floats": (POINTER(c_float), [c_void_p, POINTER(c_size_t), POINTER(c_size_t)]),
    "lc_event_free": (None, [c_void_p]),
    "lc_plan": (c_int, [c_char_p, c_char_p, POINTER(c_void_p)]),
    "lc_convert": (c_int, [c_char_p, c_char_p, c_char_p, ProgressFunction, c_void_p]),
    "lc_verify": (c_int, [c_char_p, ProgressFunction, c_void_p]),
    "lc_batch": (
        c_int,
        [c_char_p, c_char_p, c_char_p, c_char_p, ProgressFunction, c_void_p, POINTER(c_void_p)],
    ),
    "lc_job_open": (
        c_int,
        [c_char_p, c_char_p, c_char_p, c_char_p, ProgressFunction, c_void_p, POINTER(c_void_p)],
    ),
    "lc_job_info": (c_int, [c_void_p, POINTER(c_void_p)]),
    "lc_job_next": (c_int, [c_void_p, POINTER(c_void_p)]),
    "lc_job_answer": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(c_int)]),
    "lc_job_sync": (c_int, [c_void_p]),
    "lc_job_close": (None, [c_void_p]),
    "lc_string_free": (None, [c_void_p]),
    "lc_error_message": (c_char_p, []),
    "lc_error_json": (c_char_p, []),
}


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    """Loads the library once: the one that ``LEAFCUTTER_LIBRARY`` names, the package's own, or the system's.

    Raises:
        ImportError: there is none, or it is of another major version.
    """
    loaded = _load()
    loaded.lc_abi_version.restype = c_uint32
    major = loaded.lc_abi_version() >> 16
    if major != ABI_MAJOR:
        raise ImportError(
            f"{LIBRARY} has version {major} of its interface, and this package needs {ABI_MAJOR}; "
            "install library and package of the same release"
        )
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


def _load() -> ctypes.CDLL:
    named = os.environ.get("LEAFCUTTER_LIBRARY")
    bundled = Path(__file__).parent / "_lib" / LIBRARY
    path = named if named else str(bundled) if bundled.exists() else LIBRARY
    try:
        # CDLL gives up Python's global lock while a call lasts.
        return ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(
            f"the library of Leafcutter cannot be loaded ({error}); install the wheel that `make wheel` builds, "
            f"or name a {LIBRARY} by the environment variable LEAFCUTTER_LIBRARY"
        ) from None


def take_string(address: c_void_p) -> str:
    """Copies and frees a string that the library has given away."""
    try:
        return ctypes.string_at(address.value or 0).decode("utf-8") if address.value else ""
    finally:
        library().lc_string_free(address)
