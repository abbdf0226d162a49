"""Dense layer on CSR rows, Numba twin: over the clicks of a row forward, over those of an item backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.ops.checks import want_shape
from minigen.ops.numba_maths import fast, floats, parallel, prange
from minigen.ops.product import Product
from minigen.ops.sparse import with_data
from minigen.ops.sparse_dense import numpy_sparse_dense as reference
from minigen.ops.sparse_dense.numpy_sparse_dense import SparseDenseCache, want_backward, want_forward
from minigen.typing import CSR, Array

__all__ = ["sparse_dense_backward", "sparse_dense_forward"]

PARALLEL = 2**16  # products x[u, i] w[i, o] from which two threads beat one
SORTED = 2**20  # products from which d_w gains by sorting the clicks by item
CHUNKS = 64  # of the items, each of about as much work: more than there are threads


def sparse_dense_forward(x: CSR, w: Array, b: Array) -> tuple[Array, SparseDenseCache]:
    """Twin of `numpy_sparse_dense.sparse_dense_forward`."""
    if not floats(x.data, w, b):
        return reference.sparse_dense_forward(x, w, b)
    want_forward(x, w, b)
    w, b = np.ascontiguousarray(w), np.ascontiguousarray(b)
    y = np.empty((x.shape[0], w.shape[1]), w.dtype)
    rows = _rows_parallel if x.nnz * b.size >= PARALLEL else _rows
    rows(x.indptr, x.indices, x.data, w, b, y)
    return y, SparseDenseCache(x, w)


def sparse_dense_backward(
    d_y: Array,
    cache: SparseDenseCache,
    with_d_x: bool = True,
    out: Array | None = None,
    whole: bool = True,
) -> tuple[Any, Any, Array]:
    """Twin of `numpy_sparse_dense.sparse_dense_backward`."""
    x, w = cache
    if not (floats(x.data, w, d_y) and (out is None or (out.dtype == w.dtype and out.flags.c_contiguous))):
        return reference.sparse_dense_backward(d_y, cache, with_d_x, out)
    want_backward(d_y, cache)
    d_y = np.ascontiguousarray(d_y)
    fresh = out is None  # its zeros cost nothing until they are touched
    d_w: Any = np.zeros(w.shape, w.dtype) if out is None else out
    want_shape("out", d_w, w.shape)
    n_products = x.nnz * w.shape[1]
    left = not whole and n_products >= SORTED
    if n_products < SORTED:
        _scatter(x.indptr, x.indices, x.data, d_y, fresh, d_w)
    elif whole:
        _items_parallel(*by_item(x.indptr, x.indices, x.data, w.shape[0]), d_y, fresh, d_w)
    d_x = None
    if with_d_x:
        d_data = np.empty(x.nnz, w.dtype)
        clicks = _clicks_parallel if n_products >= PARALLEL else _clicks
        clicks(x.indptr, x.indices, d_y, np.ascontiguousarray(w), d_data)
        d_x = with_data(x, d_data)
    d_w = Product(x, d_y, d_w, float(np.vdot(d_y, d_y))) if left else d_w
    return d_x, d_w, d_y.sum(axis=0)


@fast
def _add_rows(row: Array, index: Any, factor: Array, rows: Array) -> None:  # row += factor @ rows[index]
    """Four rows at a time: the sum stays in the registers for as long."""
    n = index.size
    for q in range(0, n - 3, 4):
        a0, a1, a2, a3 = rows[index[q]], rows[index[q + 1]], rows[index[q + 2]], rows[index[q + 3]]
        f0, f1, f2, f3 = factor[q], factor[q + 1], factor[q + 2], factor[q + 3]
        for j in range(row.size):
            row[j] += (f0 * a0[j] + f1 * a1[j]) + (f2 * a2[j] + f3 * a3[j])
    for q in range(n - n % 4, n):
        a0, f0 = rows[index[q]], factor[q]
        for j in range(row.size):
            row[j] += f0 * a0[j]


@fast
def _row(
    u: int, indptr: Any, items: Any, x: Array, w: Array, b: Array, y: Array
) -> None:  # y[u] = x[u] w + b
    clicks = slice(indptr[u], indptr[u + 1])
    row = y[u]
    for j in range(row.size):
        row[j] = b[j]
    _add_rows(row, items[clicks], x[clicks], w)


@fast
def _rows(indptr: Any, items: Any, x: Array, w: Array, b: Array, y: Array) -> None:  # y = x @ w + b
    for u in range(len(y)):
        _row(u, indptr, items, x, w, b, y)


@parallel
def _rows_parallel(indptr: Any, items: Any, x: Array, w: Array, b: Array, y: Array) -> None:
    # y = x @ w + b
    for u in prange(len(y)):
        _row(u, indptr, items, x, w, b, y)


@fast
def by_item(indptr: Any, items: Any, x: Array, n_items: int) -> Any:  # x.tocsc(): a counting sort
    """Start, users and values of the clicks of each item, users ascending."""
    start = np.zeros(n_items + 1, np.int64)
    for q in range(items.size):
        start[items[q] + 1] += 1
    for i in range(n_items):
        start[i + 1] += start[i]
    place = start[:-1].copy()
    users, values = np.empty(items.size, np.int64), np.empty_like(x)
    for u in range(indptr.size - 1):
        for q in range(indptr[u], indptr[u + 1]):
            at = place[items[q]]
            users[at], values[at] = u, x[q]
            place[items[q]] += 1
    return start, users, values


@fast
def _item(i: int, start: Any, users: Any, values: Array, d_y: Array, fresh: bool, d_w: Array) -> None:
    # d_w[i] = x.T[i] @ d_y
    if start[i] < start[i + 1]:
        item_row(users[start[i] : start[i + 1]], values[start[i] : start[i + 1]], d_y, d_w[i])
    elif not fresh and _holds_something(d_w[i].view(np.int32)):  # a read is cheaper than a write
        d_w[i] = 0


@fast
def item_row(users: Any, values: Array, d_y: Array, row: Array) -> None:  # row = values @ d_y[users]
    """The gradient of an item's weights, from the users who have it, one at least."""
    first, factor = d_y[users[0]], values[0]
    for j in range(row.size):
        row[j] = factor * first[j]
    _add_rows(row, users[1:], values[1:], d_y)


@fast
def _holds_something(bits: Any) -> bool:  # bits.any()
    found = np.int32(0)
    for j in range(bits.size):
        found |= bits[j]
    return found != 0


@fast
def _scatter(
    indptr: Any, items: Any, x: Array, d_y: Array, fresh: bool, d_w: Array
) -> None:  # d_w = x.T @ d_y
    if not fresh:
        d_w[:] = 0
    for u in range(len(d_y)):
        row = d_y[u]
        for q in range(indptr[u], indptr[u + 1]):
            d_row, factor = d_w[items[q]], x[q]
            for j in range(row.size):
                d_row[j] += factor * row[j]


@parallel
def _items_parallel(start: Any, users: Any, values: Array, d_y: Array, fresh: bool, d_w: Array) -> None:
    # d_w = x.T @ d_y
    n = len(d_w)
    for chunk in prange(CHUNKS):
        first, last = share_of(start, n, chunk, 1), share_of(start, n, chunk + 1, 1)
        for i in range(first, last):
            _item(i, start, users, values, d_y, fresh, d_w)


@fast
def share_of(start: Any, n: int, chunk: int, row: int) -> int:
    """The item at which a chunk begins: an item costs `row` and 1 a click; start[i] + row i ascends."""
    goal = (start[n] + row * n) * chunk // CHUNKS
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if start[middle] + row * middle < goal:
            low = middle + 1
        else:
            high = middle
    return low


@fast
def _user(u: int, indptr: Any, items: Any, d_y: Array, w: Array, d_x: Array) -> None:
    # d_x[u, i] = d_y[u] @ w[i]
    row = d_y[u]
    for q in range(indptr[u], indptr[u + 1]):
        item, total = w[items[q]], w.dtype.type(0)
        for j in range(row.size):
            total += row[j] * item[j]
        d_x[q] = total


@fast
def _clicks(indptr: Any, items: Any, d_y: Array, w: Array, d_x: Array) -> None:
    # d_x = (d_y @ w.T)[row_of_each(x), items]
    for u in range(len(d_y)):
        _user(u, indptr, items, d_y, w, d_x)


@parallel
def _clicks_parallel(indptr: Any, items: Any, d_y: Array, w: Array, d_x: Array) -> None:
    # d_x = (d_y @ w.T)[row_of_each(x), items]
    for u in prange(len(d_y)):
        _user(u, indptr, items, d_y, w, d_x)
