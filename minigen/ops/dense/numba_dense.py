"""Dense layer, Numba twin: BLAS multiplies, which no kernel here beats, a band of columns at a time.

A band goes through all that is to be done with it while it is in the cache; threads share the bands out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.ops.checks import want_shape
from minigen.ops.dense import numpy_dense as reference
from minigen.ops.dense.numpy_dense import DenseCache, want_backward, want_forward
from minigen.ops.numba_crew import can_share, share_out
from minigen.ops.numba_maths import fast, floats, parallel, prange
from minigen.ops.product import Product
from minigen.typing import Array

__all__ = ["dense_backward", "dense_forward"]

PARALLEL = 2**20  # entries of y from which the bands beat NumPy
NARROW = 256  # columns of a band at least,
BANDS = 8  # and so many bands at every number of threads: their sums are added in one order


def dense_forward(x: Array, w: Array, b: Array, out: Array | None = None) -> tuple[Array, DenseCache]:
    """Twin of `numpy_dense.dense_forward`."""
    if not _worth_it(len(x), b.size) or not floats(x, w, b) or not _plain(out, w):
        return reference.dense_forward(x, w, b, out)
    want_forward(x, w, b)
    y = np.empty((len(x), b.size), w.dtype) if out is None else out
    want_shape("out", y, (len(x), b.size))
    flat_b = np.ascontiguousarray(b)

    def band(n: int) -> None:
        part = part_of(b.size, n)
        np.matmul(x, w[:, part], out=y[:, part])
        _add_to_rows(y, flat_b, part.start, part.stop)

    share_out(band, BANDS)
    return y, DenseCache(x, w)


def dense_backward(
    d_y: Array, cache: DenseCache, out: Array | None = None, whole: bool = True
) -> tuple[Array, Any, Array]:
    """Twin of `numpy_dense.dense_backward`."""
    x, w = cache
    if not _worth_it(*d_y.shape) or not floats(d_y, x, w) or not _plain(out, w):
        return reference.dense_backward(d_y, cache, out)
    want_backward(d_y, cache)
    d_w = np.empty(w.shape, w.dtype) if out is None else out
    want_shape("out", d_w, w.shape)
    d_y, d_b = np.ascontiguousarray(d_y), np.zeros(d_y.shape[1], d_y.dtype)
    d_x, squares = np.empty((BANDS, *x.shape), x.dtype), np.empty(BANDS)

    def band(n: int) -> None:
        part = part_of(d_b.size, n)
        squares[n] = _add_up_columns(d_y, d_b, part.start, part.stop)
        if whole:
            np.matmul(x.T, d_y[:, part], out=d_w[:, part])
        np.matmul(d_y[:, part], w[:, part].T, out=d_x[n])

    share_out(band, BANDS)
    _add_up(d_x)
    return d_x[0].copy(), d_w if whole else Product(x, d_y, d_w, squares.sum()), d_b


def _worth_it(n_rows: int, n_columns: int) -> bool:
    return n_rows * n_columns >= PARALLEL and n_columns >= BANDS * NARROW and can_share()


def _plain(out: Array | None, w: Array) -> bool:
    return out is None or (out.flags.c_contiguous and out.dtype == w.dtype)


def part_of(n_columns: int, n: int) -> slice:
    """The columns of band n."""
    return slice(n_columns * n // BANDS, n_columns * (n + 1) // BANDS)


@fast
def _add_to_rows(y: Array, b: Array, start: int, stop: int) -> None:  # y[:, start:stop] += b[start:stop]
    for i in range(len(y)):
        _add(y[i, start:stop], b[start:stop])


@fast
def _add_up_columns(d_y: Array, d_b: Array, start: int, stop: int) -> float:
    """d_b[start:stop] += d_y[:, start:stop].sum(axis=0); the sum of the squares of what was read."""
    squares, total = 0.0, d_b[start:stop]
    for i in range(len(d_y)):
        row = d_y[i, start:stop]
        part: Any = d_y.dtype.type(0)
        for j in range(row.size):
            total[j] += row[j]
            part += row[j] * row[j]
        squares += part
    return squares


@parallel
def _add_up(parts: Array) -> None:  # parts[0] = parts.sum(axis=0)
    for i in prange(parts.shape[1]):
        for n in range(1, len(parts)):
            _add(parts[0, i], parts[n, i])


@fast
def _add(total: Array, more: Array) -> None:
    for j in range(total.size):
        total[j] += more[j]
