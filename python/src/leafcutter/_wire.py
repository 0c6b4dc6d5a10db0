"""Requests and options as the library reads them: JSON in UTF-8."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Set
from typing import Any, Mapping

import numpy as np

from leafcutter._errors import BadInputError, UsageError
from leafcutter._types import Path, Text


_IDS = ("input_ids", "context_ids", "target_ids", "ids", "input", "context", "segment", "span", "options")
"""Fields whose values come one behind the other."""


def encoded(fields: Mapping[str, Any]) -> bytes:
    """One JSON object of the fields that are not None.

    Raises:
        TypeError: a value is bytes, a set where the order counts, or something that JSON has no word for.
        BadInputError: a text holds half a character, a lone surrogate.
        UsageError: a number is not finite.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    for name, value in given.items():
        refuse_bytes(value, name)
        if name in _IDS:
            refuse_sets(value, name)
    try:
        return json.dumps(given, ensure_ascii=False, allow_nan=False, default=_plain).encode("utf-8")
    except UnicodeEncodeError as error:
        raise half_a_character("a text", error) from None
    except RecursionError:
        raise UsageError("a value is nested too deeply") from None
    except ValueError as error:
        # In the order in which the encoder met it, so that no circle is in the way.
        where = _not_finite(given) if str(error).startswith("Out of range") else None
        if where is not None:
            raise UsageError(f"{where}; a finite number is needed") from None
        raise UsageError(f"a value cannot be sent: {error}") from None


def _not_finite(value: object, name: str = "") -> str | None:
    """The first number that is not finite, by its field: `logit_bias.7 is nan`."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{name} is {value}"
    parts: Iterable[tuple[str, object]]
    if isinstance(value, Mapping):
        parts = (
            part for key, one in value.items()
            for part in ((f"a key of {name}", key), (f"{name}.{key}" if name else str(key), one))
        )
    elif isinstance(value, (list, tuple, Set)):
        parts = ((f"{name}[{index}]", one) for index, one in enumerate(value))
    else:
        return None
    return next((found for path, one in parts if (found := _not_finite(one, path))), None)


def half_a_character(name: str, error: UnicodeEncodeError) -> BadInputError:
    """The exception for a text that holds a lone surrogate, which no file and no program takes."""
    return BadInputError(
        f"{name} holds half a character (U+{ord(error.object[error.start]):04X}, a lone surrogate); "
        'text.encode("utf-8", "replace").decode() replaces it'
    )


def refuse_bytes(value: object, name: str) -> None:
    """Bytes look like a list of ids: they are refused wherever a text is meant."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f'{name} is {type(value).__name__}; a text is needed: {name}.decode("utf-8")')


def require_bytes(value: object, name: str) -> None:
    """What a job handed out, or a model answered, goes on as it is."""
    if not isinstance(value, bytes):
        raise TypeError(f"{name} is {type(value).__name__}; the bytes are needed that a job or a model gave")


def refuse_sets(value: object, name: str) -> None:
    """Sets are refused wherever the order counts: they have none."""
    if isinstance(value, Set):
        raise TypeError(f"{name} is {type(value).__name__}, which has no order; a list is needed")


def _plain(value: object) -> object:
    """What JSON does not know by itself: numpy's numbers and arrays, paths, tuples' kin."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    refuse_bytes(value, "a value")
    if isinstance(value, (range, set, frozenset)):
        return list(value)
    raise TypeError(f"a value is {type(value).__name__}; texts, numbers, lists and dictionaries can be sent")


def text_or_ids(value: Text, text: str, ids: str) -> dict[str, Any]:
    """The field for a text or for its ids.

    Args:
        text: the name of the field for a text.
        ids: the name of the field for ids.
    """
    refuse_bytes(value, text)
    refuse_sets(value, ids)
    if isinstance(value, str):
        return {text: value}
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise UsageError(f"{ids} has {value.ndim} dimensions; the ids of one text have one")
    try:
        return {ids: [_index(one, ids) for one in value]}
    except TypeError:
        if hasattr(value, "__iter__"):
            raise
        raise TypeError(f"{text} is {type(value).__name__}; a text or a list of token ids is needed") from None


def _index(value: object, name: str) -> int:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    raise TypeError(f"{name} holds {type(value).__name__}; token ids are whole numbers")


def path_bytes(path: Path, name: str) -> bytes:
    """A path for the system's calls.

    Raises:
        TypeError: it is bytes or no path.
        BadInputError: it holds half a character, a lone surrogate.
        UsageError: it holds a null character, where C would end it.
    """
    refuse_bytes(path, name)
    try:
        written = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise half_a_character(name, error) from None
    if b"\0" in written:
        raise UsageError(f"{name} holds a null character")
    return written
