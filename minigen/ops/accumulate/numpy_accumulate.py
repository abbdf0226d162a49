"""The sum of two gradients, NumPy reference: arrays on a device have no `+`."""

from __future__ import annotations

from minigen.ops.checks import want_same_shape
from minigen.typing import Array


def accumulate(d_a: Array, d_b: Array) -> Array:
    """d_a + d_b, of one shape: what a value that is used twice gets from its two uses.

    Raises ValueError where the shapes differ.
    """
    want_same_shape(d_a=d_a, d_b=d_b)
    return d_a + d_b
