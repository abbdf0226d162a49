"""Adam, NumPy reference: one walk over the weights, in blocks that fit the cache of a core."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.ops.checks import want_same_shape, want_shape
from minigen.typing import Array

_BLOCK = 16_384  # entries a block: w, d_w, m, v and two scratch rows stay in 400 kB of float32
_ROWS = 4096  # rows a block
FLUSH_BELOW = 1e-30  # smaller moments are 0: decaying into denormals, they would slow every step
FLUSH_EVERY = 64  # steps; 0.9**64 keeps a moment of 1e-30 far from the denormals below 1e-38


@dataclass
class AdamState:
    """First moment m and second moment v, of the shape of the weights, and the number of steps t."""

    m: Array
    v: Array
    t: int = 0

    @classmethod
    def zeros_like(cls, w: Array) -> AdamState:
        """The state before the first step."""
        return cls(np.zeros_like(w), np.zeros_like(w))


def adam_step(
    w: Array,
    d_w: Array,
    state: AdamState,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> None:
    """Move w against d_w, in place: w -= lr m_hat / (sqrt(v_hat) + eps).   [eq:adam]

    w, d_w and both moments of one shape, C-contiguous.  Updates `state`.
    Raises ValueError where the shapes differ.  Kingma & Ba 2015, algorithm 1.
    """
    want_in_place(w, d_w, state)
    rate, root, flush = count_step(state, lr, beta1, beta2)
    flat_w, flat_m, flat_v = w.reshape(-1), state.m.reshape(-1), state.v.reshape(-1)
    flat_d_w = np.ascontiguousarray(d_w).reshape(-1)
    scratch = np.empty((2, min(_BLOCK, w.size)), dtype=w.dtype)
    for start in range(0, w.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        move, root_v = scratch[:, : flat_w[part].size]
        _moments(flat_d_w[part], flat_m[part], flat_v[part], move, beta1, beta2, flush)
        np.sqrt(flat_v[part], out=root_v)
        root_v *= root
        root_v += eps
        np.multiply(flat_m[part], rate, out=move)
        move /= root_v
        flat_w[part] -= move  # w -= rate m / (root sqrt(v) + eps)


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
    """Adam for a gradient d_rows (R, ...) in `rows` (R,) of w, and 0 in all others.   [eq:adam-rows]

    The others keep weights and moments, as if the step had not been, until `adam_rows_catch_up` makes up
    for it.  t counts all steps.  Updates w and `state` in place.
    Raises ValueError where shapes do not fit, or rows repeat or descend.
    """
    want_rows(w, rows, state)
    want_shape("d_rows", d_rows, (len(rows), *w.shape[1:]))
    rate, root, _ = count_step(state, lr, beta1, beta2)
    m, v = state.m[rows], state.v[rows]
    _moments(d_rows, m, v, np.empty_like(m), beta1, beta2, flush=True)
    state.m[rows], state.v[rows] = m, v
    w[rows] -= rate * m / (root * np.sqrt(v) + eps)


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
    """The last `missed` (R,) steps of `adam_step` with gradient 0, in `rows` (R,) of w.   [eq:adam-catch-up]

    w -= lr m_hat (beta1 + ... + beta1^missed) / (sqrt(v_hat) + eps), with both hats as at step t;
    m *= beta1^missed, v *= beta2^missed.  In place.  Over so many steps v and the hats hardly change, but in
    the first hundreds of training they do, and the row moves a little too far.
    Raises ValueError where shapes do not fit, or rows repeat or descend.
    """
    want_rows(w, rows, state)
    want_shape("missed", missed, (len(rows),))
    if not state.t:
        return
    rate, root = corrections(state, lr, beta1, beta2)
    for start in range(0, len(rows), _ROWS):
        some, steps = rows[start : start + _ROWS], missed[start : start + _ROWS].astype(np.float64)
        left = beta1**steps, beta2**steps, beta1 * (1 - beta1**steps) / (1 - beta1)
        shape = (-1,) + (1,) * (w.ndim - 1)
        decay1, decay2, tail = (numbers.astype(w.dtype).reshape(shape) for numbers in left)
        m, v = state.m[some], state.v[some]
        w[some] -= tail * (rate * m / (root * np.sqrt(v) + eps))
        m *= decay1
        v *= decay2
        m[np.abs(m) < FLUSH_BELOW] = 0
        v[v < FLUSH_BELOW] = 0
        state.m[some], state.v[some] = m, v


def want_rows(w: Array, rows: NDArray[np.integer], state: AdamState) -> None:
    """Raise ValueError where rows of w could not be moved in place."""
    want_in_place(w, w, state)
    ascend = (rows[1:] > rows[:-1]).all()  # a difference of unsigned numbers is never below 0
    if rows.size and not (rows[0] >= 0 and rows[-1] < len(w) and ascend):
        raise ValueError(f"rows: want each once, ascending, of 0 to {len(w) - 1}")


def want_in_place(w: Array, d_w: Any, state: AdamState) -> None:
    """Raise ValueError where the shapes differ, or the step could not be taken in place."""
    want_same_shape(w=w, d_w=d_w, m=state.m, v=state.v)
    for name, array in (("w", w), ("m", state.m), ("v", state.v)):
        if not array.flags.c_contiguous:
            raise ValueError(f"{name}: want a C-contiguous array, since the step is in place")


def count_step(state: AdamState, lr: float, beta1: float, beta2: float) -> tuple[float, float, bool]:
    """Count a step: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t), and whether it is one that flushes."""
    state.t += 1
    return *corrections(state, lr, beta1, beta2), state.t % FLUSH_EVERY == 0


def corrections(state: AdamState, lr: float, beta1: float, beta2: float) -> tuple[float, float]:
    """lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t): the hats, as two scalars."""
    return lr / (1 - beta1**state.t), 1 / math.sqrt(1 - beta2**state.t)


def _moments(d_w: Array, m: Array, v: Array, scratch: Array, beta1: float, beta2: float, flush: bool) -> None:
    np.multiply(d_w, 1 - beta1, out=scratch)
    m *= beta1
    m += scratch  # m = beta1 m + (1 - beta1) d_w
    np.multiply(d_w, d_w, out=scratch)
    scratch *= 1 - beta2
    v *= beta2
    v += scratch  # v = beta2 v + (1 - beta2) d_w^2
    if flush:
        m[np.abs(m) < FLUSH_BELOW] = 0
        v[v < FLUSH_BELOW] = 0
