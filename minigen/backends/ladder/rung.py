"""A rung: a way to compute a dense layer, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigen.ops.checks import want_shape
from minigen.typing import Array


class Rung(NamedTuple):
    """`kernel` takes C-ordered x (B, I), w (I, O), b (O,) of one dtype and gives y (B, O).

    teaches: one sentence; largest: the side of the largest square product that takes about a second;
    threads: whether the rows of y are shared out.
    """

    name: str
    kernel: Callable[[Array, Array, Array], Array]
    teaches: str
    largest: int
    threads: bool

    def __call__(self, x: Array, w: Array, b: Array) -> Array:
        """y = x w + b (B, O) of x (B, I), w (I, O), b (O,), in the widest of their dtypes.

        Raises ValueError where the shapes do not fit.
        """
        return np.ascontiguousarray(self.kernel(*ordered(x, w, b)))


def ordered(x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """The arguments of a kernel, copied where they must be: every other layout would be compiled anew.

    Raises ValueError where the shapes do not fit.
    """
    want_shape("w", w, (None, None))
    want_shape("x", x, (None, w.shape[0]))
    want_shape("b", b, (w.shape[1],))
    dtype = np.result_type(x, w, b)
    x, w, b = (np.ascontiguousarray(array, dtype) for array in (x, w, b))
    return x, w, b
