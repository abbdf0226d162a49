"""Matrix products on the device: 64 x 64 tiles of shared memory, 8 x 8 sums in the registers of a thread."""

from __future__ import annotations

from typing import Any

from numba import cuda

from minigen.ops.checks import want_shape
from minigen.ops.cuda_arrays import empty
from minigen.ops.cuda_kernels import SIMULATED, THREADS, blocks, kernel, spread
from minigen.typing import Array

SIDE = 2 if SIMULATED else 8  # rows and columns of threads, and of the entries that each of them owns
TILE = SIDE * SIDE
DEPTH = 8  # terms of a sum that the block holds in shared memory at a time
_WIDE = TILE + 1  # one column more than is used: threads that write down a column meet different banks

# Blocks that fill a large GPU: where there are fewer tiles, several blocks share the terms of one.
_BUSY = 8 if SIMULATED else 512
SLICE = 8 if SIMULATED else 256  # terms that are worth a block of their own

_COLUMNS = 2 if SIMULATED else 32  # of the blocks that add up columns
_ROWS = THREADS // _COLUMNS


def matmul(
    a: Array,
    b: Array,
    bias: Array | None = None,
    out: Array | None = None,
    *,
    turn_a: bool = False,
    turn_b: bool = False,
) -> Array:
    """a b + bias, into `out` where given; a.T or b.T stands there where it is turned.

    Raises ValueError where `out` has another shape.
    """
    n_rows, n_terms = a.shape[::-1] if turn_a else a.shape
    n_columns = b.shape[0] if turn_b else b.shape[1]
    out = empty((n_rows, n_columns), a.dtype) if out is None else out
    want_shape("out", out, (n_rows, n_columns))
    grid = blocks(n_columns, TILE), blocks(n_rows, TILE)
    n_slices = max(1, min(_BUSY // (grid[0] * grid[1]), n_terms // SLICE))
    depth = blocks(n_terms, n_slices * DEPTH) * DEPTH
    shape = (n_slices, n_rows, n_columns)
    parts = out.reshape(shape) if n_slices == 1 else empty(shape, out.dtype)
    bias = empty(0, out.dtype) if bias is None else bias
    _PRODUCTS[turn_a, turn_b][(*grid, n_slices), TILE](a, b, bias, parts, n_terms, depth)
    if n_slices > 1:
        _add_slices[spread(out.size)](parts.reshape((n_slices, out.size)), out.ravel())
    return out


def column_sums(x: Array) -> Array:
    """x.sum(axis=0)."""
    total = empty(x.shape[1], x.dtype)
    _column_sums[blocks(total.size, _COLUMNS), (_COLUMNS, _ROWS)](x, total)
    return total


def _product(turn_a: bool, turn_b: bool) -> Any:
    """The kernel for one way of reading; `if` over these two costs nothing, the compiler knows them."""

    @kernel("matrix matrix vector matrices int int", name=f"matmul.product{'_a_t' * turn_a}{'_b_t' * turn_b}")
    def product(a: Array, b: Array, bias: Array, parts: Array, n_terms: int, depth: int) -> None:
        """parts[s] = a[:, slice s] @ b[slice s] (+ bias): a block a tile and slice of the terms."""
        a_tile = cuda.shared.array((DEPTH, _WIDE), parts.dtype)
        b_tile = cuda.shared.array((DEPTH, _WIDE), parts.dtype)
        sums = cuda.local.array((SIDE, SIDE), parts.dtype)
        t, s = cuda.threadIdx.x, cuda.blockIdx.z
        row, column = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE  # where the tile begins
        mine, beside = t // SIDE, t % SIDE  # this thread's rows and columns: every SIDE-th from here
        n_rows, n_columns = parts.shape[1], parts.shape[2]
        for r in range(SIDE):
            for c in range(SIDE):
                sums[r, c] = 0
        last = min(n_terms, (s + 1) * depth)
        for first in range(s * depth, last, DEPTH):
            # Neighbours in a warp read neighbours in memory.  Outside the matrices stand zeros.
            for e in range(t, DEPTH * TILE, TILE):
                if turn_a:
                    k, i = e // TILE, e % TILE
                else:
                    k, i = e % DEPTH, e // DEPTH
                value = parts.dtype.type(0)
                if first + k < last and row + i < n_rows:
                    value = a[first + k, row + i] if turn_a else a[row + i, first + k]
                a_tile[k, i] = value
            for e in range(t, DEPTH * TILE, TILE):
                if turn_b:
                    k, j = e % DEPTH, e // DEPTH
                else:
                    k, j = e // TILE, e % TILE
                value = parts.dtype.type(0)
                if first + k < last and column + j < n_columns:
                    value = b[column + j, first + k] if turn_b else b[first + k, column + j]
                b_tile[k, j] = value
            cuda.syncthreads()
            for k in range(DEPTH):
                for r in range(SIDE):
                    for c in range(SIDE):
                        sums[r, c] += a_tile[k, mine + SIDE * r] * b_tile[k, beside + SIDE * c]
            cuda.syncthreads()  # nobody fills the tiles again while another still reads
        for r in range(SIDE):
            for c in range(SIDE):
                i, j = row + mine + SIDE * r, column + beside + SIDE * c
                if i < n_rows and j < n_columns:
                    if bias.size > 0 and s == 0:
                        sums[r, c] += bias[j]
                    parts[s, i, j] = sums[r, c]

    return product


_PRODUCTS: dict[tuple[bool, bool], Any] = {
    turns: _product(*turns) for turns in ((False, False), (False, True), (True, False))
}


@kernel("matrix vector")
def _add_slices(parts: Array, c: Array) -> None:  # c = parts.sum(axis=0)
    for j in range(cuda.grid(1), c.size, cuda.gridsize(1)):
        total = parts[0, j]
        for s in range(1, parts.shape[0]):
            total += parts[s, j]
        c[j] = total


@kernel("matrix vector")
def _column_sums(x: Array, total: Array) -> None:  # total = x.sum(axis=0)
    slots = cuda.shared.array((_ROWS, _COLUMNS), total.dtype)
    c, r = cuda.threadIdx.x, cuda.threadIdx.y
    j = cuda.blockIdx.x * _COLUMNS + c
    part = total.dtype.type(0)
    if j < total.size:
        for i in range(r, x.shape[0], _ROWS):
            part += x[i, j]
    slots[r, c] = part
    cuda.syncthreads()
    if r == 0 and j < total.size:
        for other in range(1, _ROWS):
            part += slots[other, c]
        total[j] = part
