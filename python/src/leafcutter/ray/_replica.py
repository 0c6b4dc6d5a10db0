"""A server on one machine, and who passes requests on to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from typing import AsyncIterator, Iterable, Optional, Sequence

import aiohttp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from yarl import URL

from leafcutter._errors import Error, FileError
from leafcutter.ray._copying import ensure

_OF_ONE_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
"""Headers that belong to one connection."""
_UNTIL_RESTARTED_SECONDS = 10
_BECOME = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"
"""Asks the kernel to kill this process when the thread that started it ends, and becomes the program that is named."""


class Replica:
    """A deployment's actor: it starts a server and passes each request on to it."""

    _server: Optional[_Server] = None

    def __init__(self, command: str, model: str, source: Optional[str], words: Sequence[str]) -> None:
        """Returns when the model is open.

        Raises:
            Error: the command or the model is missing, or the server says why it does not start.
        """
        program = shutil.which(command)
        if program is None:
            raise FileError(
                f"the program {command} is missing on {socket.gethostname()}; install it there, or name its place by "
                "the parameter command: the Python package does not hold it"
            )
        ensure(model, source)
        self._server = _Server([program, "serve", model, *words])
        # Each request has a connection of its own: one that is kept might be closed as it is used again.
        connector = aiohttp.UnixConnector(self._server.address, limit=0, force_close=True)
        # A token may take as long as it likes.
        self._client = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def __call__(self, request: Request) -> Response:
        """Passes a request on. Whoever leaves closes the connection to the server, which frees its place."""
        headers = _passed_on(request.headers.items())
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        path = request.scope["path"][len(request.scope.get("root_path", "")) :]
        query = request.url.query
        url = URL(f"http://localhost{urllib.parse.quote(path)}{'?' * bool(query)}{query}", encoded=True)
        try:
            answer = await self._client.request(
                request.method,
                url,
                headers=headers,
                data=request.stream() if has_body else None,
                allow_redirects=False,
            )
        except aiohttp.ClientError:
            message = "the server of this replica has ended, and another one is started; ask again"
            error = {"message": message, "type": "server_error", "param": None, "code": None}
            return JSONResponse({"error": error}, 503, {"Retry-After": str(_UNTIL_RESTARTED_SECONDS)})
        return StreamingResponse(_pieces(answer), answer.status, _passed_on(answer.headers.items()))

    def check_health(self) -> None:
        """
        Raises:
            Error: the server has ended; Serve then puts another replica in the place of this one.
        """
        assert self._server is not None
        self._server.check()

    def __del__(self) -> None:
        # Serve calls it when nothing is under way any more.
        if self._server is not None:
            self._server.end()


class _Server:
    """A process ``leafcutter serve`` on a socket of its own, which ends with this process."""

    def __init__(self, words: Sequence[str]) -> None:
        """Returns when the server listens.

        Raises:
            Error: it ended before.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="leafcutter-")
        self.address = os.path.join(self._folder.name, "http")
        self._last_words = ""
        self._process: Optional[subprocess.Popen[str]] = None
        self._listens, self._ended = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._run, args=([*words, f"--listen=unix:{self.address}"],), daemon=True)
        thread.start()
        self._listens.wait()
        self.check()

    def check(self) -> None:
        """
        Raises:
            Error: it has ended; the sentence is the last one that it said.
        """
        if self._ended.is_set():
            raise Error(f"the server on {socket.gethostname()} has ended; its last words: {self._last_words}")

    def end(self) -> None:
        """Ends it and what it has left, if that was not done before."""
        if self._process is not None:
            self._process.terminate()
        self._ended.wait()

    def _run(self, words: Sequence[str]) -> None:
        """Lets the server run, in a thread of its own: the kernel kills the server with the thread that began it."""
        words = [sys.executable, "-c", _BECOME, *words]
        try:
            with self._folder, subprocess.Popen(words, stderr=subprocess.PIPE, text=True, errors="replace") as process:
                self._process = process
                assert process.stderr is not None
                for line in process.stderr:
                    # Into the replica's log.
                    print(line, end="", file=sys.stderr, flush=True)
                    self._last_words = line.strip()
                    if _is_listening(line):
                        self._listens.set()
        finally:
            self._ended.set()
            self._listens.set()


def _is_listening(line: str) -> bool:
    """Whether a server says in a line that it listens, whatever form its log has."""
    return line.startswith("listening on ") or (line.startswith("{") and "listening" in json.loads(line))


def _passed_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _OF_ONE_HOP}


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """What the server says, as it comes. An answer that breaks off raises, and so breaks off for the client, too."""
    async with answer:
        async for piece in answer.content.iter_any():
            yield piece
