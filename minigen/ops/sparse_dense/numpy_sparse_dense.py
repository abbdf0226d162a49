"""Dense layer on CSR rows, NumPy reference: only the clicks are multiplied."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigen.ops.checks import want_shape
from minigen.ops.sparse import row_of_each, with_data
from minigen.typing import CSR, Array

_CHUNK = 4096  # non-zeros a pass of d_x: two (4096, 600) float32 gathers stay near 20 MB
_BLOCK = 2**18  # entries a pass of d_w into `out`: 1 MB of float32 beside it


class SparseDenseCache(NamedTuple):
    """What sparse_dense_backward needs: the rows x (B, I) and the weights w (I, O)."""

    x: CSR
    w: Array


def sparse_dense_forward(x: CSR, w: Array, b: Array) -> tuple[Array, SparseDenseCache]:
    """Map CSR rows x (B, I) to y = x w + b (B, O), touching only the non-zeros.   [eq:sparse-dense-forward]

    w (I, O), b (O,).  Raises ValueError where the shapes do not fit.
    """
    want_forward(x, w, b)
    y = x @ w  # row u of y adds up x[u, i] w[i] over the items i of user u
    y += b
    return y, SparseDenseCache(x, w)


def sparse_dense_backward(
    d_y: Array,
    cache: SparseDenseCache,
    with_d_x: bool = True,
    out: Array | None = None,
    whole: bool = True,
) -> tuple[Any, Any, Array]:
    """Pull d_y (B, O) back to d_x at the non-zeros (CSR), d_w (I, O), d_b (O,).   [eq:sparse-dense-backward]

    d_x has the pattern of x: where x is zero by its pattern, no gradient is formed.
    It is None where `with_d_x` is False.  d_w is written into `out` (I, O) where one is given; unless
    `whole`, a twin may leave it a `Product`.
    Raises ValueError where the shapes do not fit.
    """
    want_backward(d_y, cache)
    x, w = cache
    d_x = with_data(x, _d_clicks(d_y, x, w)) if with_d_x else None
    # Rows of items that nobody in the batch has stay zero.
    d_w = x.T @ d_y if out is None else _matmul_into(x.T.tocsr(), d_y, out)
    d_b = d_y.sum(axis=0)
    return d_x, d_w, d_b


def want_forward(x: CSR, w: Array, b: Array) -> None:
    """Raise ValueError where the arguments of sparse_dense_forward do not fit."""
    want_shape("w", w, (None, None))
    want_shape("x", x, (None, w.shape[0]))
    want_shape("b", b, (w.shape[1],))


def want_backward(d_y: Array, cache: SparseDenseCache) -> None:
    """Raise ValueError where d_y does not fit the cache."""
    want_shape("d_y", d_y, (cache.x.shape[0], cache.w.shape[1]))


def _d_clicks(d_y: Array, x: CSR, w: Array) -> Array:
    """For each non-zero (u, i): d_y[u] . w[i], the entry of d_y w^T that the pattern asks for."""
    rows = row_of_each(x)
    d_data = np.empty(x.nnz, dtype=d_y.dtype)
    for start in range(0, x.nnz, _CHUNK):
        part = slice(start, start + _CHUNK)
        d_data[part] = np.einsum("no,no->n", d_y[rows[part]], w[x.indices[part]])
    return d_data


def _matmul_into(a: CSR, b: Array, out: Array) -> Array:
    want_shape("out", out, (a.shape[0], b.shape[1]))
    n_rows = max(1, _BLOCK // max(1, b.shape[1]))
    for start in range(0, a.shape[0], n_rows):
        out[start : start + n_rows] = a[start : start + n_rows] @ b
    return out
