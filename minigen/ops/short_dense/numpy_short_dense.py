"""Dense layer with weights of 16 bits, NumPy reference: half as much memory to walk through."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.ops.checks import want_shape
from minigen.typing import Array

_LARGEST = 2**15 - 1
_BLOCK = 4096  # outputs whose weights are made long at a time


class Short(NamedTuple):
    """Weights w (I, O) as whole numbers `values` (O, I), an output's side by side, times `scale` (O,)."""

    values: NDArray[np.int16]
    scale: Array


def shorten(w: Array) -> Short:
    """The nearest 16-bit weights to w (I, O): an output's largest becomes 32,767, all errors are below its
    scale / 2, which is 1 / 65,534 of it.

    Raises ValueError where w has not two axes.
    """
    want_shape("w", w, (None, None))
    scale = np.abs(w).max(axis=0, initial=0) / w.dtype.type(_LARGEST)
    scale[scale < np.finfo(w.dtype).tiny] = 1  # a smaller one has too few digits, and its weights become 0
    values = np.empty(w.shape[::-1], np.int16)
    for start in range(0, w.shape[1], _BLOCK):
        part = slice(start, start + _BLOCK)
        values[part] = np.rint(w[:, part] / scale[part]).T
    return Short(values, scale)


def short_dense_forward(x: Array, w: Short, b: Array) -> Array:
    """y = x w + b (B, O) of x (B, I) with w from `shorten`, for serving: there is no way back.

    Raises ValueError where the shapes do not fit.
    """
    want_short(x, w, b)
    y = np.empty((len(x), b.size), x.dtype)
    for start in range(0, b.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        np.matmul(x, w.values[part].T.astype(x.dtype), out=y[:, part])
    y *= w.scale
    y += b
    return y


def want_short(x: Array, w: Short, b: Array) -> None:
    """Raise ValueError where the arguments of short_dense_forward do not fit."""
    want_shape("x", x, (None, w.values.shape[1]))
    want_shape("b", b, (w.values.shape[0],))
