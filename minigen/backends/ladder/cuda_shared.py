"""A block fetches tiles of x and w together, and each of its threads uses all of them."""

from __future__ import annotations

from numba import cuda

from minigen.ops.cuda_kernels import SIMULATED, kernel
from minigen.typing import Array

SIDE = 4 if SIMULATED else 16  # of a square tile of x, of w and of y
THREADS = (SIDE, SIDE)
TILE = (SIDE, SIDE)


@kernel("matrix matrix vector matrix", name="ladder.shared")
def shared_tiles(x: Array, w: Array, b: Array, y: Array) -> None:  # y = x @ w + b
    """Every number that is fetched from afar serves 16 threads."""
    x_tile = cuda.shared.array((SIDE, SIDE), x.dtype)
    w_tile = cuda.shared.array((SIDE, SIDE), x.dtype)
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    j, i = cuda.grid(2)
    zero = total = x.dtype.type(0)  # a plain 0 beside a float32 would make both a float64
    for start in range(0, x.shape[1], SIDE):
        inside = i < x.shape[0] and start + column < x.shape[1]
        x_tile[row, column] = x[i, start + column] if inside else zero
        inside = start + row < w.shape[0] and j < w.shape[1]
        w_tile[row, column] = w[start + row, j] if inside else zero
        cuda.syncthreads()  # both tiles are complete
        for k in range(SIDE):
            total += x_tile[row, k] * w_tile[k, column]
        cuda.syncthreads()  # nobody needs them any more
    if i < y.shape[0] and j < y.shape[1]:
        y[i, j] = total + b[j]
