"""Adam on a gradient that is made for it part by part: none of it goes to memory and comes back.

Of a dense layer BLAS makes a band of columns, of a layer on clicks a kernel makes the row of an item; then
weights and moments of the same part take their step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.ops.adam.numpy_adam import FLUSH_BELOW
from minigen.ops.dense.numba_dense import BANDS, part_of
from minigen.ops.numba_crew import share_out
from minigen.ops.numba_maths import fast, inside, parallel, prange
from minigen.ops.product import Product
from minigen.ops.sparse_dense.numba_sparse_dense import CHUNKS, by_item, item_row, share_of
from minigen.typing import Array

_ROW = 8  # clicks that cost as much as the step of a row, which goes to memory


def step_on_product(w: Array, d_w: Product, m: Array, v: Array, numbers: Array, flush: bool) -> None:
    """Move w (I, O) and its moments by d_w; the same bits as by `d_w.whole()`, bands and rows being equal."""
    x, d_y = d_w.x, d_w.d_y
    if isinstance(x, np.ndarray):
        _by_bands(w, d_w, m, v, numbers, flush)
    else:
        items = by_item(x.indptr, x.indices, x.data, len(w))
        _rows_parallel(*items, d_y, w, m, v, numbers, flush)


def _by_bands(w: Array, d_w: Product, m: Array, v: Array, numbers: Array, flush: bool) -> None:
    x, d_y, room = d_w.x, d_w.d_y, d_w.out.reshape(-1)
    size = len(w) * (part_of(w.shape[1], BANDS - 1).stop // BANDS + 1)
    free = [room[n * size : (n + 1) * size] for n in range(room.size // size)]  # a thread takes the last used

    def band(n: int) -> None:
        part = part_of(w.shape[1], n)
        try:
            slab = free.pop()
        except IndexError:  # asked before, another thread could take the last one in between
            slab = np.empty(size, w.dtype)
        d_part = slab[: len(w) * (part.stop - part.start)].reshape(len(w), -1)
        np.matmul(x.T, d_y[:, part], out=d_part)
        _columns(w, d_part, m, v, numbers, flush, part.start)
        free.append(slab)

    share_out(band, BANDS)


@fast
def _columns(w: Array, d_w: Array, m: Array, v: Array, numbers: Array, flush: bool, start: int) -> None:
    # move(w[:, start:stop], d_w, m[:, start:stop], v[:, start:stop], numbers, flush)
    stop = start + d_w.shape[1]
    for i in range(len(w)):
        move(w[i, start:stop], d_w[i], m[i, start:stop], v[i, start:stop], numbers, flush)


@parallel
def _rows_parallel(
    start: Any,
    users: Any,
    values: Array,
    d_y: Array,
    w: Array,
    m: Array,
    v: Array,
    numbers: Array,
    flush: bool,
) -> None:  # move(w, x.T @ d_y, m, v, numbers, flush), with x.T as `by_item` has sorted it
    for chunk in prange(CHUNKS):
        nothing, row = np.zeros(d_y.shape[1], d_y.dtype), np.empty(d_y.shape[1], d_y.dtype)
        first, last = share_of(start, len(w), chunk, _ROW), share_of(start, len(w), chunk + 1, _ROW)
        for i in range(first, last):
            if start[i] < start[i + 1]:
                item_row(users[start[i] : start[i + 1]], values[start[i] : start[i + 1]], d_y, row)
                move(w[i], row, m[i], v[i], numbers, flush)
            else:
                move(w[i], nothing, m[i], v[i], numbers, flush)


@inside
def move(w: Array, d_w: Array, m: Array, v: Array, numbers: Array, flush: bool) -> None:
    """The step of `adam_step` in contiguous arrays of one size; every `FLUSH_EVERY`, with a flush."""
    # m = beta1 * m + rest1 * d_w; v = beta2 * v + rest2 * d_w**2; w -= rate * m / (root * np.sqrt(v) + eps)
    rate, root, beta1, beta2, rest1, rest2, eps = numbers
    for j in range(w.size):
        m[j] = beta1 * m[j] + rest1 * d_w[j]
        v[j] = beta2 * v[j] + rest2 * (d_w[j] * d_w[j])
        w[j] -= rate * m[j] / (root * math.sqrt(v[j]) + eps)
    if flush:
        for j in range(w.size):
            if abs(m[j]) < FLUSH_BELOW:
                m[j] = 0
            if v[j] < FLUSH_BELOW:
                v[j] = 0
