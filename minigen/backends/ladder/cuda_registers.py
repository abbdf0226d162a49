"""A thread computes 8 x 8 entries in its registers: 16 numbers fetched are 64 sums."""

from __future__ import annotations

from numba import cuda

from minigen.ops.cuda_kernels import SIMULATED, kernel
from minigen.typing import Array

SUMS = 8  # rows and columns of a thread
SIDE = 4 if SIMULATED else 16  # threads along each side of a block
THREADS = (SIDE, SIDE)
TILE = (SUMS * SIDE, SUMS * SIDE)
WIDTH = SUMS * SIDE  # the compiler must see a constant in the shape of shared memory
PADDED = WIDTH + 4  # the threads of a warp write to 32 different banks
DEPTH = 8  # terms of the sums that are fetched in one go
FETCHES = DEPTH * WIDTH // (SIDE * SIDE)  # of a thread, from x and from w


@kernel("matrix matrix vector matrix", name="ladder.registers")
def register_tiles(x: Array, w: Array, b: Array, y: Array) -> None:  # y = x @ w + b
    """Thread (r, c) has rows r, r + 16, ... and columns c, c + 16, ...: neighbours fetch from neighbours."""
    x_tile = cuda.shared.array((DEPTH, PADDED), x.dtype)
    w_tile = cuda.shared.array((DEPTH, WIDTH), x.dtype)
    sums = cuda.local.array((SUMS, SUMS), x.dtype)
    x_own = cuda.local.array(SUMS, x.dtype)
    zero = x.dtype.type(0)  # a plain 0 beside a float32 would make both a float64
    column, row = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * WIDTH, cuda.blockIdx.y * WIDTH
    for r in range(SUMS):
        for c in range(SUMS):
            sums[r, c] = zero
    for start in range(0, x.shape[1], DEPTH):
        for n in range(FETCHES):
            place = (n * SIDE + row) * SIDE + column
            i, k = top + place // DEPTH, start + place % DEPTH
            x_tile[place % DEPTH, place // DEPTH] = x[i, k] if i < x.shape[0] and k < x.shape[1] else zero
            k, j = start + place // WIDTH, left + place % WIDTH
            w_tile[place // WIDTH, place % WIDTH] = w[k, j] if k < w.shape[0] and j < w.shape[1] else zero
        cuda.syncthreads()  # both tiles are complete
        for k in range(DEPTH):
            for r in range(SUMS):
                x_own[r] = x_tile[k, r * SIDE + row]
            for c in range(SUMS):
                w_own = w_tile[k, c * SIDE + column]
                for r in range(SUMS):
                    sums[r, c] += x_own[r] * w_own
        cuda.syncthreads()  # nobody needs them any more
    for r in range(SUMS):
        for c in range(SUMS):
            i, j = top + r * SIDE + row, left + c * SIDE + column
            if i < y.shape[0] and j < y.shape[1]:
                y[i, j] = sums[r, c] + b[j]
