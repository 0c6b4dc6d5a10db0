"""The model's file on a machine that may not have it yet."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time
import urllib.request
from typing import IO, Optional

from leafcutter._errors import BadInputError, Error, FileError
from leafcutter._files import verify
from leafcutter._wire import path_bytes

_TRIES = 3
_TIMEOUT_SECONDS = 60.0
_PIECE_BYTES = 1 << 20


def ensure(path: str, source: Optional[str]) -> None:
    """Copies the model to ``path`` unless it is there. One process of a machine copies; the others wait for it.

    A copy is checked by the digests of every byte before it takes its name.

    Args:
        source: a path, or a URL of http, https or file; None if there is nothing to copy.

    Raises:
        BadInputError: one of the two holds half a character.
        FileError: it is missing, and there is no source; or copying failed, each time it was tried.
        BadInputError: what was copied is damaged, each time.
    """
    path_bytes(path, "model")
    if source is not None:
        path_bytes(source, "source")
    if os.path.exists(path):
        return
    if source is None:
        raise FileError(f"{path} is missing on {socket.gethostname()}; copy it there, or name a source to copy it from")
    for rest in reversed(range(_TRIES)):
        try:
            _copy_once(path, source)
            return
        except (OSError, BadInputError) as error:
            if rest == 0:
                if isinstance(error, Error):
                    raise
                raise FileError(f"{source} cannot be copied to {path}: {error}") from None
            time.sleep(1 << (_TRIES - rest - 1))


def _copy_once(path: str, source: str) -> None:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    part = path + ".part"
    with open(part, "ab") as target:
        fcntl.flock(target, fcntl.LOCK_EX)
        # Who waited finds it there, and holds a file that has no name any more, or has this one.
        if os.path.exists(path):
            return
        target.truncate(0)
        with _opened(source) as original:
            shutil.copyfileobj(original, target, _PIECE_BYTES)
        target.flush()
        os.fsync(target.fileno())
        verify(part)
        os.replace(part, path)


def _opened(source: str) -> IO[bytes]:
    if source.startswith(("http://", "https://", "file://")):
        response: IO[bytes] = urllib.request.urlopen(source, timeout=_TIMEOUT_SECONDS)
        return response
    return open(source, "rb")
