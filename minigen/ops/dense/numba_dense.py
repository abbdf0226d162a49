"""Dense layer, Numba twin: BLAS multiplies, which no kernel here beats, and threads share the rest."""

from __future__ import annotations

import numpy as np

from minigen.ops.dense import numpy_dense as reference
from minigen.ops.dense.numpy_dense import DenseCache, matmul, want_backward, want_forward
from minigen.ops.numba_maths import fast, floats, parallel, prange
from minigen.typing import Array

__all__ = ["dense_backward", "dense_forward"]

PARALLEL = 2**20  # entries of y from which the kernels beat NumPy, right after a product of BLAS
_BAND = 1024  # columns that a thread adds up at a time: a row of its sums stays in the nearest cache


def dense_forward(x: Array, w: Array, b: Array, out: Array | None = None) -> tuple[Array, DenseCache]:
    """Twin of `numpy_dense.dense_forward`."""
    if len(x) * b.size < PARALLEL or not floats(x, w, b) or not (out is None or out.flags.c_contiguous):
        return reference.dense_forward(x, w, b, out)
    want_forward(x, w, b)
    y = matmul(x, w, out)
    _add_to_rows(y, np.ascontiguousarray(b))
    return y, DenseCache(x, w)


def dense_backward(d_y: Array, cache: DenseCache, out: Array | None = None) -> tuple[Array, Array, Array]:
    """Twin of `numpy_dense.dense_backward`."""
    if d_y.size < PARALLEL or not floats(d_y):
        return reference.dense_backward(d_y, cache, out)
    want_backward(d_y, cache)
    x, w = cache
    d_b = np.zeros(d_y.shape[1], d_y.dtype)
    _add_up_columns(np.ascontiguousarray(d_y), d_b)
    return matmul(d_y, w.T), matmul(x.T, d_y, out), d_b


@parallel
def _add_to_rows(y: Array, b: Array) -> None:  # y += b
    for i in prange(len(y)):
        row = y[i]
        for j in range(row.size):
            row[j] += b[j]


@parallel
def _add_up_columns(d_y: Array, d_b: Array) -> None:  # d_b = d_y.sum(axis=0)
    for band in prange((d_b.size + _BAND - 1) // _BAND):
        part = slice(band * _BAND, (band + 1) * _BAND)
        for i in range(len(d_y)):
            _add(d_b[part], d_y[i, part])


@fast
def _add(total: Array, row: Array) -> None:
    for j in range(total.size):
        total[j] += row[j]
