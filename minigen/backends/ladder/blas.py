"""The top of the ladder: the product is left to those who tune it for every processor."""

from __future__ import annotations

from numba import njit, prange

from minigen.typing import Array


def blas(x: Array, w: Array, b: Array) -> Array:  # y = x @ w + b
    """BLAS multiplies; what follows is fused into one pass of our own."""
    y = x @ w
    _epilogue(y, b)
    return y


@njit(parallel=True)
def _epilogue(y: Array, b: Array) -> None:  # y += b
    for i in prange(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] += b[j]  # an activation would join here, and cost no pass of its own
