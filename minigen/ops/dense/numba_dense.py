"""Dense layer, Numba twin: BLAS multiplies, which no kernel here beats, a band of columns at a time.

A band goes through all that is to be done with it while it is in the cache; threads share the bands out.
"""

from __future__ import annotations

import numpy as np

from minigen.ops.checks import want_shape
from minigen.ops.dense import numpy_dense as reference
from minigen.ops.dense.numpy_dense import DenseCache, want_backward, want_forward
from minigen.ops.numba_crew import can_share, share_out
from minigen.ops.numba_maths import fast, floats, parallel, prange
from minigen.typing import Array

__all__ = ["dense_backward", "dense_forward"]

PARALLEL = 2**20  # entries of y from which the bands beat NumPy
NARROW = 256  # columns of a band at least,
_BANDS = 8  # and so many bands at every number of threads: their sums are added in one order


def dense_forward(x: Array, w: Array, b: Array, out: Array | None = None) -> tuple[Array, DenseCache]:
    """Twin of `numpy_dense.dense_forward`."""
    if not _worth_it(len(x), b.size) or not floats(x, w, b) or not _plain(out, w):
        return reference.dense_forward(x, w, b, out)
    want_forward(x, w, b)
    y = np.empty((len(x), b.size), w.dtype) if out is None else out
    want_shape("out", y, (len(x), b.size))
    flat_b = np.ascontiguousarray(b)

    def band(n: int) -> None:
        part = _part(b.size, n)
        np.matmul(x, w[:, part], out=y[:, part])
        _add_to_rows(y, flat_b, part.start, part.stop)

    share_out(band, _BANDS)
    return y, DenseCache(x, w)


def dense_backward(d_y: Array, cache: DenseCache, out: Array | None = None) -> tuple[Array, Array, Array]:
    """Twin of `numpy_dense.dense_backward`."""
    x, w = cache
    if not _worth_it(*d_y.shape) or not floats(d_y, x, w) or not _plain(out, w):
        return reference.dense_backward(d_y, cache, out)
    want_backward(d_y, cache)
    d_w = np.empty(w.shape, w.dtype) if out is None else out
    want_shape("out", d_w, w.shape)
    d_y, d_b = np.ascontiguousarray(d_y), np.zeros(d_y.shape[1], d_y.dtype)
    d_x = np.empty((_BANDS, *x.shape), x.dtype)

    def band(n: int) -> None:
        part = _part(d_b.size, n)
        _add_up_columns(d_y, d_b, part.start, part.stop)
        np.matmul(x.T, d_y[:, part], out=d_w[:, part])
        np.matmul(d_y[:, part], w[:, part].T, out=d_x[n])

    share_out(band, _BANDS)
    _add_up(d_x)
    return d_x[0].copy(), d_w, d_b


def _worth_it(n_rows: int, n_columns: int) -> bool:
    return n_rows * n_columns >= PARALLEL and n_columns >= _BANDS * NARROW and can_share()


def _plain(out: Array | None, w: Array) -> bool:
    return out is None or (out.flags.c_contiguous and out.dtype == w.dtype)


def _part(n_columns: int, n: int) -> slice:
    return slice(n_columns * n // _BANDS, n_columns * (n + 1) // _BANDS)


@fast
def _add_to_rows(y: Array, b: Array, start: int, stop: int) -> None:  # y[:, start:stop] += b[start:stop]
    for i in range(len(y)):
        _add(y[i, start:stop], b[start:stop])


@fast
def _add_up_columns(d_y: Array, d_b: Array, start: int, stop: int) -> None:
    # d_b[start:stop] += d_y[:, start:stop].sum(axis=0)
    for i in range(len(d_y)):
        _add(d_b[start:stop], d_y[i, start:stop])


@parallel
def _add_up(parts: Array) -> None:  # parts[0] = parts.sum(axis=0)
    for i in prange(parts.shape[1]):
        for n in range(1, len(parts)):
            _add(parts[0, i], parts[n, i])


@fast
def _add(total: Array, more: Array) -> None:
    for j in range(total.size):
        total[j] += more[j]
