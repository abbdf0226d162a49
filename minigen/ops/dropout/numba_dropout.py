"""L2 normalisation and dropout of sparse rows, Numba twin: one pass over the non-zeros."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.ops.checks import want_same_pattern, want_same_shape
from minigen.ops.dropout import numpy_dropout as reference
from minigen.ops.dropout.numpy_dropout import DropoutCache, Mask, NormaliseCache
from minigen.ops.numba_maths import fast, floats
from minigen.ops.sparse import with_data
from minigen.typing import CSR, Array

__all__ = ["dropout_backward", "dropout_forward", "l2_normalise_backward", "l2_normalise_forward"]

SMALL = 2**12  # entries of dropout below which NumPy's three short calls cost less


def l2_normalise_forward(x: CSR) -> tuple[CSR, NormaliseCache]:
    """Twin of `numpy_dropout.l2_normalise_forward`."""
    if not floats(x.data):
        return reference.l2_normalise_forward(x)
    data, length = np.empty_like(x.data), np.empty(x.shape[0], x.data.dtype)
    _normalise(x.indptr, x.data, data, length)
    y = with_data(x, data)
    return y, NormaliseCache(y, length)


def l2_normalise_backward(d_y: CSR, cache: NormaliseCache) -> CSR:
    """Twin of `numpy_dropout.l2_normalise_backward`."""
    y, length = cache
    if not floats(y.data, d_y.data):
        return reference.l2_normalise_backward(d_y, cache)
    want_same_shape(y=y.data, d_y=d_y.data)
    want_same_pattern(y=y, d_y=d_y)
    d_data = np.empty_like(y.data)
    _normalise_backward(y.indptr, y.data, length, d_y.data, d_data)
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
    if x.size < SMALL or not floats(x) or mask.dtype not in (x.dtype, np.bool_):
        return reference.dropout_forward(x, mask, keep)[0]
    y = np.empty(x.shape, x.dtype)
    flat_x, flat_mask = (np.ascontiguousarray(a).reshape(-1) for a in (x, mask))
    _scale(flat_x, flat_mask, keep, y.reshape(-1))
    return y


@fast
def _scale(x: Any, mask: Any, keep: float, y: Any) -> None:  # y = x * mask / keep
    share = y.dtype.type(keep)
    for j in range(x.size):
        y[j] = x[j] * mask[j] / share


@fast
def _normalise(indptr: Any, x: Array, y: Array, length: Array) -> None:  # y = x / length[row_of_each(x)]
    for u in range(length.size):
        total = 0.0
        for q in range(indptr[u], indptr[u + 1]):
            total += x[q] * x[q]
        root = length.dtype.type(math.sqrt(length.dtype.type(total)))
        length[u] = root if root else 1
        for q in range(indptr[u], indptr[u + 1]):
            y[q] = x[q] / length[u]


@fast
def _normalise_backward(indptr: Any, y: Array, length: Array, d_y: Array, d_x: Array) -> None:
    """d_x = (d_y - y * row_sums(y * d_y)[rows]) / length[rows]."""
    for u in range(length.size):
        along = 0.0
        for q in range(indptr[u], indptr[u + 1]):
            along += y[q] * d_y[q]
        along_row = length.dtype.type(along)
        for q in range(indptr[u], indptr[u + 1]):
            d_x[q] = (d_y[q] - y[q] * along_row) / length[u]
