"""Dense layer on CSR rows, CUDA twin: a block a row forward; backward a block an item, which owns its row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from minigen.ops.checks import want_shape
from minigen.ops.cuda_arrays import clear, empty
from minigen.ops.cuda_kernels import THREADS, blocks, find, kernel
from minigen.ops.cuda_matmul import column_sums
from minigen.ops.sparse import with_data
from minigen.ops.sparse_dense.numpy_sparse_dense import SparseDenseCache, want_backward, want_forward
from minigen.typing import CSR, Array


def sparse_dense_forward(x: CSR, w: Array, b: Array) -> tuple[Array, SparseDenseCache]:
    """Twin of `numpy_sparse_dense.sparse_dense_forward`."""
    want_forward(x, w, b)
    y = empty((x.shape[0], w.shape[1]), w.dtype)
    _rows[(blocks(x.shape[0], 1), blocks(w.shape[1])), THREADS](x.indptr, x.indices, x.data, w, b, y)
    return y, SparseDenseCache(x, w)


def sparse_dense_backward(
    d_y: Array,
    cache: SparseDenseCache,
    with_d_x: bool = True,
    out: Array | None = None,
    whole: bool = True,
) -> tuple[Any, Array, Array]:
    """Twin of `numpy_sparse_dense.sparse_dense_backward`."""
    want_backward(d_y, cache)
    x, w = cache
    d_x = None
    if with_d_x:
        d_data = empty(x.nnz, w.dtype)
        _clicks[blocks(x.shape[0], 1), THREADS](x.indptr, x.indices, d_y, w, d_data)
        d_x = with_data(x, d_data)
    d_w = empty(w.shape, w.dtype) if out is None else out
    want_shape("out", d_w, w.shape)
    clear(d_w)  # the rows of items that nobody in the batch has
    _items[blocks(x.nnz, 1), THREADS](x.indptr, x.indices, x.data, d_y, d_w)
    return d_x, d_w, column_sums(d_y)


@kernel("ints ints vector matrix vector matrix")
def _rows(indptr: Array, items: Array, x: Array, w: Array, b: Array, y: Array) -> None:
    """y[u] = x[u] @ w + b: a thread an entry, neighbours read neighbours in a row of w."""
    u, o = cuda.blockIdx.x, cuda.blockIdx.y * THREADS + cuda.threadIdx.x
    if u < y.shape[0] and o < y.shape[1]:
        total = b[o]
        for q in range(indptr[u], indptr[u + 1]):
            total += x[q] * w[items[q], o]
        y[u, o] = total


@kernel("ints ints vector matrix matrix")
def _items(indptr: Array, items: Array, x: Array, d_y: Array, d_w: Array) -> None:
    """d_w[i] += x[:, i] @ d_y for the item i of one click a block; its first click in the batch does it.

    The threads look for the item in a row each, so that no one adds into a row of another, in any order.
    """
    place = cuda.shared.array(THREADS, np.int32)
    mine, t = cuda.blockIdx.x, cuda.threadIdx.x
    if mine >= items.size:
        return
    item, n_users, n_outputs = items[mine], d_y.shape[0], d_y.shape[1]
    for first in range(0, n_users, THREADS):
        u = first + t
        place[t] = find(items, indptr[u], indptr[u + 1], item) if u < n_users else -1
        if cuda.syncthreads_or(1 if place[t] >= 0 else 0):
            for s in range(THREADS):
                if 0 <= place[s] < mine:
                    return  # all threads see it, and leave together
            for o in range(t, n_outputs, THREADS):
                total = d_w[item, o]
                for s in range(THREADS):
                    if place[s] >= 0:
                        total += x[place[s]] * d_y[first + s, o]
                d_w[item, o] = total
        cuda.syncthreads()  # nobody looks further while another still reads the places


@kernel("ints ints matrix matrix vector")
def _clicks(indptr: Array, items: Array, d_y: Array, w: Array, d_x: Array) -> None:
    """d_x[u, i] = d_y[u] @ w[i] at the clicks: a block a row, a thread a click."""
    u = cuda.blockIdx.x
    if u < d_y.shape[0]:
        for q in range(indptr[u] + cuda.threadIdx.x, indptr[u + 1], THREADS):
            total = d_x.dtype.type(0)
            for o in range(d_y.shape[1]):
                total += d_y[u, o] * w[items[q], o]
            d_x[q] = total
