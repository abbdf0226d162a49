"""Adam, CUDA twin: a thread a weight, one pass over weights, gradient and both moments."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda

from minigen.ops.adam import numpy_adam as reference
from minigen.ops.adam.numpy_adam import FLUSH_BELOW, count_step
from minigen.ops.checks import want_same_shape
from minigen.ops.cuda_arrays import zeros
from minigen.ops.cuda_kernels import kernel, spread
from minigen.typing import Array


class AdamState(reference.AdamState):
    """Twin of `numpy_adam.AdamState`: both moments are on the device."""

    @classmethod
    def zeros_like(cls, w: Array) -> AdamState:
        """The state before the first step."""
        return cls(zeros(w.shape, w.dtype), zeros(w.shape, w.dtype))


def adam_step(
    w: Array,
    d_w: Array,
    state: AdamState,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> None:
    """Twin of `numpy_adam.adam_step`."""
    want_same_shape(w=w, d_w=d_w, m=state.m, v=state.v)
    in_place: dict[str, Any] = {"w": w, "m": state.m, "v": state.v}
    for name, array in in_place.items():
        if not array.is_c_contiguous():
            raise ValueError(f"{name}: want a C-contiguous array, since the step is in place")
    rate, root, flush = count_step(state, lr, beta1, beta2)
    below = FLUSH_BELOW if flush else 0.0
    numbers = (rate, root, beta1, beta2, 1 - beta1, 1 - beta2, eps, below)
    flat: Any = (array.ravel() for array in (w, d_w, state.m, state.v))
    _walk[spread(w.size)](*flat, *map(w.dtype.type, numbers))


@kernel("vector vector vector vector" + " number" * 8)
def _walk(
    w: Array,
    d_w: Array,
    m: Array,
    v: Array,
    rate: Any,
    root: Any,
    beta1: Any,
    beta2: Any,
    rest1: Any,
    rest2: Any,
    eps: Any,
    below: Any,
) -> None:
    """w -= rate m / (root sqrt(v) + eps), after both moments; those smaller than `below` become 0."""
    zero = w.dtype.type(0)
    for j in range(cuda.grid(1), w.size, cuda.gridsize(1)):
        first = beta1 * m[j] + rest1 * d_w[j]
        second = beta2 * v[j] + rest2 * (d_w[j] * d_w[j])
        w[j] -= rate * first / (root * w.dtype.type(math.sqrt(second)) + eps)
        m[j] = zero if abs(first) < below else first
        v[j] = zero if second < below else second
