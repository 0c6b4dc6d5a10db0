"""Leafcutter on many machines, by Ray (https://ray.io): each worker has a model of its own, on its own disk.

``batch`` (and ``python -m leafcutter.ray batch``) answers a file of requests, ``Predictor`` is for
``ray.data.Dataset.map_batches``, and ``serve_app`` for ``ray.serve.run``.
"""

from leafcutter import _extras

try:
    from leafcutter.ray._driver import batch
except ModuleNotFoundError as error:
    raise _extras.missing("leafcutter.ray", error, "ray") from None
from leafcutter.ray._predictor import Predictor
from leafcutter.ray._serving import serve_app

__all__ = ["Predictor", "batch", "serve_app"]
