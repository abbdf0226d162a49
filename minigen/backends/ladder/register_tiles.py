"""Tiles of y that stay in registers, over copies of x and w that stay in the caches."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minigen.typing import Array

ROWS, COLUMNS = 3, 4  # of a tile: 12 sums, 3 entries of x and 1 of w fill the 16 vector registers of AVX2
BAND = 10 * ROWS  # rows of x that a thread copies at a time; they stay in its second-level cache
LINE = 4 * COLUMNS  # columns of w that it turns over at a time: a cache line of float32
DEPTH = 4096  # bytes of a row that are multiplied in one go: a tile reads 7 of them from the nearest cache

_FLAGS = {"contract", "reassoc", "nsz"}  # sums of eight terms side by side need leave to be reordered


@njit(parallel=True)
def register_tiles(x: Array, w: Array, b: Array) -> Array:  # y = x @ w + b
    """Every entry that is read serves 3 or 4 sums.  Zeros fill up what is no whole tile."""
    n_rows, n_terms, n_columns = x.shape[0], x.shape[1], w.shape[1]
    depth = max(1, min(n_terms, DEPTH // x.itemsize))
    y = np.zeros((-(-n_rows // ROWS) * ROWS, -(-n_columns // COLUMNS) * COLUMNS), x.dtype)
    # A row has a line to spare: rows 4096 bytes apart would fight for the same places in the cache.
    w_t = np.zeros((-(-n_terms // depth), y.shape[1], depth + LINE), x.dtype)
    for line in prange(-(-n_columns // LINE)):
        _turn(w, w_t, line * LINE, depth)
    for band in prange(-(-n_rows // BAND)):
        _multiply(x, w_t, b, y, band * BAND, depth)
    return y[:n_rows, :n_columns]


@njit
def _turn(w: Array, w_t: Array, left: int, depth: int) -> None:
    # w_t[n, left:right] = w[n * depth : (n + 1) * depth, left:right].T
    right = min(left + LINE, w.shape[1])
    for n in range(w_t.shape[0]):
        for k in range(min(depth, w.shape[0] - n * depth)):
            for j in range(left, right):
                w_t[n, j, k] = w[n * depth + k, j]


@njit
def _multiply(x: Array, w_t: Array, b: Array, y: Array, top: int, depth: int) -> None:
    # y[top:bottom] = x[top:bottom] @ w + b
    n_rows, n_terms = min(BAND, x.shape[0] - top), x.shape[1]
    for i in range(top, min(top + BAND, y.shape[0])):
        for j in range(b.size):
            y[i, j] = b[j]
    band = np.zeros((BAND, w_t.shape[2]), x.dtype)
    for n in range(w_t.shape[0]):
        some = min(depth, n_terms - n * depth)
        for i in range(n_rows):
            for k in range(some):
                band[i, k] = x[top + i, n * depth + k]
        for j in range(0, y.shape[1], COLUMNS):
            for i in range(0, n_rows, ROWS):
                _add_tile(band, w_t[n], y[top:], i, j, some)


@njit(fastmath=_FLAGS)
def _add_tile(x: Array, w_t: Array, y: Array, i: int, j: int, depth: int) -> None:
    # y[i:i+3, j:j+4] += x[i:i+3, :depth] @ w_t[j:j+4, :depth].T
    zero = x.dtype.type(0)
    y00 = y01 = y02 = y03 = y10 = y11 = y12 = y13 = y20 = y21 = y22 = y23 = zero
    for k in range(depth):
        x0, x1, x2 = x[i, k], x[i + 1, k], x[i + 2, k]
        w0, w1, w2, w3 = w_t[j, k], w_t[j + 1, k], w_t[j + 2, k], w_t[j + 3, k]
        y00, y10, y20 = y00 + x0 * w0, y10 + x1 * w0, y20 + x2 * w0
        y01, y11, y21 = y01 + x0 * w1, y11 + x1 * w1, y21 + x2 * w1
        y02, y12, y22 = y02 + x0 * w2, y12 + x1 * w2, y22 + x2 * w2
        y03, y13, y23 = y03 + x0 * w3, y13 + x1 * w3, y23 + x2 * w3
    for r, sums in enumerate(((y00, y01, y02, y03), (y10, y11, y12, y13), (y20, y21, y22, y23))):
        for c, total in enumerate(sums):
            y[i + r, j + c] += total
