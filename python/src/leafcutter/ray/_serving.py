"""The HTTP server as a deployment of Ray Serve."""

from __future__ import annotations

import os
from typing import Any, Iterator, Mapping, Optional

from leafcutter._errors import UsageError
from leafcutter._types import Fields, Path, Size
from leafcutter._wire import path_bytes

_MOST_REQUESTS = 64
"""Requests that a replica is given at the same time: as many as the smallest server has connections."""
_DRAIN_SECONDS = 60
"""For what is under way when a replica is stopped, as the server gives it."""
_OF_SERVE = ("listen", "tls_cert", "tls_key")
"""Options of a server that clients reach by itself."""


def serve_app(
    model: Path,
    *,
    replicas: int = 1,
    memory: Optional[Size] = None,
    threads: Optional[int] = None,
    max_batch: Optional[int] = None,
    max_context: Optional[int] = None,
    source: Optional[str] = None,
    command: Path = "leafcutter",
    deployment: Optional[Mapping[str, Any]] = None,
    **options: Any,
) -> Any:
    """The routes of ``leafcutter serve`` as an application of Ray Serve.

    ::

        from ray import serve

        serve.run(leafcutter.ray.serve_app("/data/ant.leaf", replicas=3, memory="2GiB"))

    Each replica starts ``leafcutter serve``, with a model of its own, and passes on to it what clients ask, and its
    answers as they come. So routes, fields, bytes and errors are those of the server. A replica that dies, or whose
    server does, is started again by Serve; what it had in hand breaks off.

    Args:
        model: the .leaf file, at this path on each machine.
        replicas: how many.
        memory: of each server, as a whole process: bytes, ``"2GiB"``, or ``"auto"``. The replica's Python is beside it.
        threads: compute threads of each server, which Ray sets aside.
        max_batch: texts on a reading of one server's model at most (8).
        max_context: tokens of a text, its answer included (512).
        source: a path or URL to copy the model from where it is missing.
        command: the program ``leafcutter`` on each machine, by its path or its name; the wheel does not hold it.
        deployment: any other option of ``ray.serve.deployment``, such as ``{"max_replicas_per_node": 1}``.
        options: any other option of ``leafcutter serve``, in snake_case; a list for one that is given several times.

    Returns:
        An application for ``ray.serve.run``, at the root of a Serve of its own.

    Raises:
        UsageError: Ray Serve is missing, or an option makes no sense here.
    """
    try:
        from ray import serve

        from leafcutter.ray._replica import Replica
    except ImportError as error:
        raise UsageError(
            f"serve_app needs Ray Serve, of which {error.name} is not installed; pip install 'leafcutter[serve]'"
        ) from None
    for name in _OF_SERVE:
        if name in options:
            raise UsageError(f"{name} is no option here: clients come in where ray.serve.start says")
    given = {"memory": memory, "threads": threads, "max_batch": max_batch, "max_context": max_context, **options}
    settings = {
        "name": "leafcutter",
        "num_replicas": replicas,
        "ray_actor_options": {"num_cpus": threads or 1},
        "max_ongoing_requests": _MOST_REQUESTS,
        "graceful_shutdown_timeout_s": _DRAIN_SECONDS,
        **(deployment or {}),
    }
    path, arguments = os.path.abspath(os.fspath(model)), list(words(given))
    # The replica, on another machine, could only die of what no program takes.
    for name, text in [("model", path), ("command", command), *(("an option", word) for word in arguments)]:
        path_bytes(text, name)
    return serve.deployment(**settings)(Replica).bind(os.fspath(command), path, source, arguments)


def words(options: Fields) -> Iterator[str]:
    """Options as a command is given them; None and False are left out."""
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                yield option
            elif one is not None and one is not False:
                yield f"{option}={one}"
