"""What happens to a sparse row before it enters the encoder: L2 normalisation and dropout."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.ops.checks import want_same_pattern, want_same_shape
from minigen.ops.sparse import row_of_each, row_sums, with_data
from minigen.typing import CSR, Array

Mask = NDArray[np.bool_]


class NormaliseCache(NamedTuple):
    """The normalised rows y (CSR) and the length of each row of x, (B,)."""

    y: CSR
    length: Array


def l2_normalise_forward(x: CSR) -> tuple[CSR, NormaliseCache]:
    """Divide each CSR row of x (B, I) by its Euclidean length.   [eq:l2-normalise]

    An empty row stays empty.  Liang et al. 2018, section 2.2 of the authors' code.
    """
    length = np.sqrt(row_sums(x.data * x.data, x))
    length[length == 0] = 1  # nothing to divide
    y = with_data(x, x.data / length[row_of_each(x)])
    return y, NormaliseCache(y, length)


def l2_normalise_backward(d_y: CSR, cache: NormaliseCache) -> CSR:
    """d_x = (d_y - y (y . d_y)) / |x| on the non-zeros.   [eq:l2-normalise-backward]

    Raises ValueError unless d_y has the pattern of y.
    """
    y, length = cache
    want_same_shape(y=y.data, d_y=d_y.data)
    want_same_pattern(y=y, d_y=d_y)
    along = row_sums(y.data * d_y.data, y)
    rows = row_of_each(y)
    return with_data(y, (d_y.data - y.data * along[rows]) / length[rows])


class DropoutCache(NamedTuple):
    """The mask of what was kept, and the probability of keeping."""

    mask: Array | Mask
    keep: float


def dropout_mask(shape: int | tuple[int, ...], keep: float, rng: np.random.Generator) -> Mask:
    """Draw a mask: 1 with probability `keep`, else 0.  Raises ValueError unless 0 < keep <= 1."""
    if not 0 < keep <= 1:
        raise ValueError(f"keep: want a probability above 0 and at most 1, got {keep}")
    return rng.random(shape, dtype=np.float32) < keep


def dropout_forward(x: Array, mask: Array | Mask, keep: float) -> tuple[Array, DropoutCache]:
    """y = x mask / keep, so that E y = x.   [eq:dropout]

    x and mask of one shape: a dense array, or the non-zeros of sparse rows.
    Raises ValueError where the shapes differ.  Srivastava et al. 2014, section 10 (inverted scaling).
    """
    want_same_shape(x=x, mask=mask)
    return np.multiply(x, mask, dtype=x.dtype) / x.dtype.type(keep), DropoutCache(mask, keep)


def dropout_backward(d_y: Array, cache: DropoutCache) -> Array:
    """d_x = d_y mask / keep: the very scale of the forward pass.   [eq:dropout-backward]"""
    mask, keep = cache
    want_same_shape(mask=mask, d_y=d_y)
    return np.multiply(d_y, mask, dtype=d_y.dtype) / d_y.dtype.type(keep)
