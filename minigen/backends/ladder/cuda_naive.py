"""One thread an entry: the whole layer in four lines, and every number fetched from afar."""

from __future__ import annotations

from numba import cuda

from minigen.ops.cuda_kernels import kernel
from minigen.typing import Array

THREADS = (32, 8)  # of a block: along a row of y, down a column
TILE = (8, 32)  # rows and columns of y that a block computes


@kernel("matrix matrix vector matrix", name="ladder.naive")
def naive(x: Array, w: Array, b: Array, y: Array) -> None:  # y = x @ w + b
    """The 32 threads of a warp stand side by side in a row: they read 32 neighbours in w at a time."""
    j, i = cuda.grid(2)
    if i < y.shape[0] and j < y.shape[1]:
        total = b[j]
        for k in range(x.shape[1]):
            total += x[i, k] * w[k, j]
        y[i, j] = total
