"""Dense layer with weights of 16 bits, Numba twin: for few rows, where reading the weights is the work."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.ops.numba_maths import fast, floats, parallel, prange
from minigen.ops.short_dense import numpy_short_dense as reference
from minigen.ops.short_dense.numpy_short_dense import Short, shorten, want_short
from minigen.typing import Array

__all__ = ["Short", "short_dense_forward", "shorten"]

PARALLEL = 2**16  # weights from which two threads beat one
FEW = 8  # rows; for more of them BLAS is worth the longer weights
_CHUNK = 256  # outputs a thread takes at a time


def short_dense_forward(x: Array, w: Short, b: Array) -> Array:
    """Twin of `numpy_short_dense.short_dense_forward`."""
    if len(x) > FEW or not floats(x, w.scale, b):
        return reference.short_dense_forward(x, w, b)
    want_short(x, w, b)
    y = np.empty((len(x), b.size), x.dtype)
    walk = _chunks_parallel if w.values.size >= PARALLEL else _chunks
    walk(np.ascontiguousarray(x), w.values, w.scale, np.ascontiguousarray(b), y)
    return y


@fast
def _chunks(x: Array, values: Any, scale: Array, b: Array, y: Array) -> None:
    # y = x @ (values.T * scale) + b
    _some(x, values, scale, b, y, 0, len(values))


@parallel
def _chunks_parallel(x: Array, values: Any, scale: Array, b: Array, y: Array) -> None:
    # y = x @ (values.T * scale) + b
    for chunk in prange((len(values) + _CHUNK - 1) // _CHUNK):
        _some(x, values, scale, b, y, chunk * _CHUNK, min(len(values), (chunk + 1) * _CHUNK))


@fast
def _some(x: Array, values: Any, scale: Array, b: Array, y: Array, start: int, stop: int) -> None:
    # y[:, start:stop] = x @ (values[start:stop].T * scale[start:stop]) + b[start:stop]
    for u in range(len(x)):
        for i in range(start, stop):
            row, own, total = values[i], x[u], x.dtype.type(0)
            for j in range(row.size):
                total += own[j] * x.dtype.type(row[j])
            y[u, i] = total * scale[i] + b[i]
