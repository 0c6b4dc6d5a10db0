"""Leafcutter on many machines, by Ray (https://ray.io): each worker has a model of its own, on its own disk.

``batch`` (and ``python -m leafcutter.ray batch``) answers a file of requests; ``Predictor`` is for
``ray.data.Dataset.map_batches``.
"""

from leafcutter.ray._driver import batch
from leafcutter.ray._predictor import Predictor

__all__ = ["Predictor", "batch"]
