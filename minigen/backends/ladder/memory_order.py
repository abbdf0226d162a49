"""The same sums, added in the order in which memory holds w."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minigen.typing import Array


@njit(parallel=True, fastmath={"contract"})  # a product and the sum it joins are one instruction
def memory_order(x: Array, w: Array, b: Array) -> Array:  # y = x @ w + b
    """The inner loop walks along rows of w and y, several entries an instruction."""
    y = np.empty((x.shape[0], w.shape[1]), x.dtype)
    for i in prange(x.shape[0]):
        for j in range(w.shape[1]):
            y[i, j] = b[j]
        for k in range(x.shape[1]):
            x_ik = x[i, k]  # y might overlap x, for all that LLVM knows: read it once
            for j in range(w.shape[1]):
                y[i, j] += x_ik * w[k, j]
    return y
