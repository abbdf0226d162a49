"""Adam, Numba twin: one pass over weights, gradient and both moments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.ops.adam import numpy_adam as reference
from minigen.ops.adam.numba_fused import move, step_on_product
from minigen.ops.adam.numpy_adam import (
    FLUSH_BELOW,
    AdamState,
    corrections,
    count_step,
    want_in_place,
    want_rows,
)
from minigen.ops.checks import want_shape
from minigen.ops.numba_maths import fast, floats, inside, parallel, prange
from minigen.ops.product import Product
from minigen.typing import Array

__all__ = ["AdamState", "adam_rows_catch_up", "adam_rows_step", "adam_step"]

PARALLEL = 2**16  # entries from which two threads beat one
_CHUNK = 2**16  # entries a thread takes at a time: long streams, that the flush still finds in its cache


def adam_step(
    w: Array,
    d_w: Array | Product,
    state: AdamState,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> None:
    """Twin of `numpy_adam.adam_step`; d_w may be a `Product`, whose parts are used while they are hot."""
    if not floats(w, d_w, state.m, state.v):
        whole: Any = d_w.whole() if isinstance(d_w, Product) else d_w
        reference.adam_step(w, whole, state, lr, beta1, beta2, eps)
        return
    want_in_place(w, d_w, state)
    rate, root, flush = count_step(state, lr, beta1, beta2)
    numbers = np.array([rate, root, beta1, beta2, 1 - beta1, 1 - beta2, eps], dtype=w.dtype)
    if isinstance(d_w, Product):
        step_on_product(w, d_w, state.m, state.v, numbers, flush)
        return
    walk = _walk_parallel if w.size >= PARALLEL else _walk
    flat = (array.reshape(-1) for array in (w, np.ascontiguousarray(d_w), state.m, state.v))
    walk(*flat, numbers, flush)


def adam_rows_step(
    w: Array,
    rows: NDArray[np.integer],
    d_rows: Array,
    state: AdamState,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> None:
    """Twin of `numpy_adam.adam_rows_step`."""
    if not floats(w, d_rows, state.m, state.v):
        reference.adam_rows_step(w, rows, d_rows, state, lr, beta1, beta2, eps)
        return
    want_rows(w, rows, state)
    want_shape("d_rows", d_rows, (len(rows), *w.shape[1:]))
    rate, root, _ = count_step(state, lr, beta1, beta2)
    row_size = d_rows.size // max(1, len(rows))
    walk = _walk_rows_parallel if d_rows.size >= PARALLEL else _walk_rows
    walk(
        rows,
        w.reshape(-1),
        np.ascontiguousarray(d_rows).reshape(len(rows), row_size),
        state.m.reshape(-1),
        state.v.reshape(-1),
        np.array([rate, root, beta1, beta2, 1 - beta1, 1 - beta2, eps], dtype=w.dtype),
    )


def adam_rows_catch_up(
    w: Array,
    rows: NDArray[np.integer],
    missed: NDArray[np.integer],
    state: AdamState,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> None:
    """Twin of `numpy_adam.adam_rows_catch_up`."""
    if not floats(w, state.m, state.v):
        reference.adam_rows_catch_up(w, rows, missed, state, lr, beta1, beta2, eps)
        return
    want_rows(w, rows, state)
    want_shape("missed", missed, (len(rows),))
    if not (state.t and w.size):
        return
    rate, root = corrections(state, lr, beta1, beta2)
    row_size = w.size // len(w)
    walk = _catch_up_parallel if len(rows) * row_size >= PARALLEL else _catch_up
    w, m, v = (a.reshape(len(w), row_size) for a in (w, state.m, state.v))
    walk(rows, missed, w, m, v, np.array([rate, root, beta1, beta2, eps]))


@fast
def _walk(w: Array, d_w: Array, m: Array, v: Array, numbers: Array, flush: bool) -> None:
    # the NumPy line of `move`
    move(w, d_w, m, v, numbers, flush)


@parallel
def _walk_parallel(w: Array, d_w: Array, m: Array, v: Array, numbers: Array, flush: bool) -> None:
    # move(w, d_w, m, v, numbers, flush)
    for chunk in prange((w.size + _CHUNK - 1) // _CHUNK):
        part = slice(chunk * _CHUNK, (chunk + 1) * _CHUNK)
        move(w[part], d_w[part], m[part], v[part], numbers, flush)


@fast
def _walk_rows(rows: Any, w: Array, d_rows: Array, m: Array, v: Array, numbers: Array) -> None:
    # move(w[rows], d_rows, m[rows], v[rows], numbers, True)
    for r in range(len(rows)):
        n = d_rows.shape[1]
        row = slice(rows[r] * n, (rows[r] + 1) * n)
        move(w[row], d_rows[r], m[row], v[row], numbers, True)


@parallel
def _walk_rows_parallel(rows: Any, w: Array, d_rows: Array, m: Array, v: Array, numbers: Array) -> None:
    # move(w[rows], d_rows, m[rows], v[rows], numbers, True)
    for r in prange(len(rows)):
        n = d_rows.shape[1]
        row = slice(rows[r] * n, (rows[r] + 1) * n)
        move(w[row], d_rows[r], m[row], v[row], numbers, True)


@fast
def _catch_up(rows: Any, missed: Any, w: Array, m: Array, v: Array, numbers: Array) -> None:
    # _miss(missed, w[rows], m[rows], v[rows], numbers)
    for r in range(len(rows)):
        if missed[r]:
            _miss(missed[r], w[rows[r]], m[rows[r]], v[rows[r]], numbers)


@parallel
def _catch_up_parallel(rows: Any, missed: Any, w: Array, m: Array, v: Array, numbers: Array) -> None:
    # _miss(missed, w[rows], m[rows], v[rows], numbers)
    for r in prange(len(rows)):
        if missed[r]:
            _miss(missed[r], w[rows[r]], m[rows[r]], v[rows[r]], numbers)


@inside
def _miss(steps: int, w: Array, m: Array, v: Array, numbers: Array) -> None:
    # w -= tail * m / (root * np.sqrt(v) + eps); m *= beta1**steps; v *= beta2**steps
    kind, (rate, root, beta1, beta2, eps) = w.dtype.type, numbers
    decay1, decay2 = kind(beta1**steps), kind(beta2**steps)
    tail, root, eps = kind(rate * beta1 * (1 - beta1**steps) / (1 - beta1)), kind(root), kind(eps)
    for j in range(w.size):
        w[j] -= tail * m[j] / (root * math.sqrt(v[j]) + eps)
        m[j] *= decay1
        v[j] *= decay2
        if abs(m[j]) < FLUSH_BELOW:
            m[j] = 0
        if v[j] < FLUSH_BELOW:
            v[j] = 0
