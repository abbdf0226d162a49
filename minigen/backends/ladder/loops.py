"""The first three rungs are one text: run by Python, compiled, and compiled with its rows shared out."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minigen.typing import Array


def loops(x: Array, w: Array, b: Array) -> Array:  # y = x @ w + b
    """A product of a row and a column for every entry of y; Python takes `prange` for `range`."""
    y = np.empty((x.shape[0], w.shape[1]), x.dtype)
    for i in prange(x.shape[0]):  # whoever has i owns row i of y: nobody else writes there
        for j in range(w.shape[1]):
            total = b[j]
            for k in range(x.shape[1]):
                total += x[i, k] * w[k, j]
            y[i, j] = total
    return y


compiled = njit(loops)
shared = njit(parallel=True)(loops)
