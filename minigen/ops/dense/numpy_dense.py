"""Dense layer, NumPy reference: y = x w + b."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigen.ops.checks import want_shape
from minigen.typing import Array


class DenseCache(NamedTuple):
    """What dense_backward needs: the input x (B, I) and the weights w (I, O)."""

    x: Array
    w: Array


def dense_forward(x: Array, w: Array, b: Array, out: Array | None = None) -> tuple[Array, DenseCache]:
    """Map x (B, I) to y = x w + b (B, O).   [eq:dense-forward]

    w (I, O), b (O,); y is written into `out` (B, O) where one is given.
    Raises ValueError where the shapes do not fit.  Goodfellow, Bengio & Courville 2016, section 6.1.
    """
    want_forward(x, w, b)
    y = matmul(x, w, out)
    y += b  # every example gets the same b
    return y, DenseCache(x, w)


def dense_backward(
    d_y: Array, cache: DenseCache, out: Array | None = None, whole: bool = True
) -> tuple[Array, Any, Array]:
    """Pull d_y (B, O) back to d_x (B, I), d_w (I, O), d_b (O,).   [eq:dense-backward]

    d_w is written into `out` (I, O) where one is given; unless `whole`, a twin may leave it a `Product`.
    Raises ValueError where the shapes do not fit.  Goodfellow, Bengio & Courville 2016, section 6.5.
    """
    want_backward(d_y, cache)
    x, w = cache
    d_x = d_y @ w.T  # (B, O)(O, I) -> (B, I)
    d_w = matmul(x.T, d_y, out)  # (I, B)(B, O) -> (I, O)
    d_b = d_y.sum(axis=0)  # every example adds into b
    return d_x, d_w, d_b


def want_forward(x: Array, w: Array, b: Array) -> None:
    """Raise ValueError where the arguments of dense_forward do not fit."""
    want_shape("w", w, (None, None))
    want_shape("x", x, (None, w.shape[0]))
    want_shape("b", b, (w.shape[1],))


def want_backward(d_y: Array, cache: DenseCache) -> None:
    """Raise ValueError where d_y does not fit the cache."""
    want_shape("d_y", d_y, (cache.x.shape[0], cache.w.shape[1]))


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """The product a b, into `out` where given.  Raises ValueError where `out` has another shape."""
    if out is not None:
        want_shape("out", out, (a.shape[0], b.shape[1]))
    return np.matmul(a, b, out=out)
