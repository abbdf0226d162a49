"""L2 normalisation and dropout of sparse rows, CUDA twin: a block a row, a thread a click."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda

from minigen.ops.checks import want_same_shape
from minigen.ops.cuda_arrays import empty
from minigen.ops.cuda_kernels import THREADS, add_up, blocks, kernel, spread
from minigen.ops.dropout.numpy_dropout import DropoutCache, Mask, NormaliseCache
from minigen.ops.sparse import with_data
from minigen.typing import CSR, Array


def l2_normalise_forward(x: CSR) -> tuple[CSR, NormaliseCache]:
    """Twin of `numpy_dropout.l2_normalise_forward`."""
    data, length = empty(x.nnz, x.dtype), empty(x.shape[0], x.dtype)
    _normalise[blocks(length.size, 1), THREADS](x.indptr, x.data, data, length)
    y = with_data(x, data)
    return y, NormaliseCache(y, length)


def l2_normalise_backward(d_y: CSR, cache: NormaliseCache) -> CSR:
    """Twin of `numpy_dropout.l2_normalise_backward`."""
    y, length = cache
    want_same_shape(y=y.data, d_y=d_y.data)
    d_data = empty(y.nnz, y.dtype)
    _normalise_backward[blocks(length.size, 1), THREADS](y.indptr, y.data, length, d_y.data, d_data)
    return with_data(y, d_data)


def dropout_forward(x: Array, mask: Array | Mask, keep: float) -> tuple[Array, DropoutCache]:
    """Twin of `numpy_dropout.dropout_forward`."""
    want_same_shape(x=x, mask=mask)
    return _scaled(x, mask, keep), DropoutCache(mask, keep)


def dropout_backward(d_y: Array, cache: DropoutCache) -> Array:
    """Twin of `numpy_dropout.dropout_backward`."""
    mask, keep = cache
    want_same_shape(mask=mask, d_y=d_y)
    return _scaled(d_y, mask, keep)


def _scaled(x: Array, mask: Array | Mask, keep: float) -> Array:
    y = empty(x.shape, x.dtype)
    _scale[spread(y.size)](x.ravel(), mask.ravel(), x.dtype.type(keep), y.ravel())
    return y


@kernel("vector bools number vector")
def _scale(x: Array, mask: Array | Mask, keep: Any, y: Array) -> None:  # y = x * mask / keep
    for j in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[j] = x[j] * y.dtype.type(mask[j]) / keep


@kernel("ints vector vector vector")
def _normalise(indptr: Array, x: Array, y: Array, length: Array) -> None:
    """length = np.sqrt(row_sums(x * x)), 1 where 0; y = x / length[row_of_each(x)]."""
    slots = cuda.shared.array(THREADS, x.dtype)
    u, t = cuda.blockIdx.x, cuda.threadIdx.x
    if u >= length.size:
        return
    total = x.dtype.type(0)
    for q in range(indptr[u] + t, indptr[u + 1], THREADS):
        total += x[q] * x[q]
    slots[t] = total
    cuda.syncthreads()
    square = add_up(slots)
    root = x.dtype.type(math.sqrt(square) if square > 0 else 1)
    for q in range(indptr[u] + t, indptr[u + 1], THREADS):
        y[q] = x[q] / root
    if t == 0:
        length[u] = root


@kernel("ints vector vector vector vector")
def _normalise_backward(indptr: Array, y: Array, length: Array, d_y: Array, d_x: Array) -> None:
    """d_x = (d_y - y * row_sums(y * d_y)[rows]) / length[rows]."""
    slots = cuda.shared.array(THREADS, y.dtype)
    u, t = cuda.blockIdx.x, cuda.threadIdx.x
    if u >= length.size:
        return
    along = y.dtype.type(0)
    for q in range(indptr[u] + t, indptr[u + 1], THREADS):
        along += y[q] * d_y[q]
    slots[t] = along
    cuda.syncthreads()
    along = add_up(slots)
    for q in range(indptr[u] + t, indptr[u + 1], THREADS):
        d_x[q] = (d_y[q] - y[q] * along) / length[u]
