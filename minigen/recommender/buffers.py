"""Arrays that a training step uses again."""

from __future__ import annotations

import numpy as np

from minigen.backends import NUMPY, Backend
from minigen.typing import Array


class Buffers:
    """Large arrays of a backend, used again from step to step: fresh ones cost page faults."""

    def __init__(self, ops: Backend = NUMPY) -> None:
        self._ops = ops
        self._arrays: dict[str, Array] = {}

    def get(self, name: str, shape: tuple[int, int], dtype: np.dtype) -> Array:
        """An array of at most the size reserved under `name`; its content is undefined."""
        size = shape[0] * shape[1]
        flat = self._arrays.get(name)
        if flat is None or flat.size < size or flat.dtype != dtype:
            flat = self._arrays[name] = self._ops.put(np.empty(size, dtype))
        return flat[:size].reshape(shape)

    def like(self, name: str, w: Array) -> Array:
        """An array of the shape and dtype of w."""
        return self.get(name, w.shape, w.dtype)
