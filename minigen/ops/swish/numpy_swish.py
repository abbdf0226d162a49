"""Swish, NumPy reference: an input times its own gate."""

from __future__ import annotations

from typing import NamedTuple

from minigen.ops.activations.numpy_activations import sigmoid
from minigen.ops.checks import want_same_shape
from minigen.typing import Array


class SwishCache(NamedTuple):
    """The input x, and its gate sigmoid(x), of one shape."""

    x: Array
    gate: Array


def swish_forward(x: Array) -> tuple[Array, SwishCache]:
    """y = x sigmoid(x), of any shape.   [eq:swish]

    Ramachandran, Zoph & Le 2017, section 3 (beta = 1).
    """
    gate = sigmoid(x)
    return x * gate, SwishCache(x, gate)


def swish_backward(d_y: Array, cache: SwishCache) -> Array:
    """d_x = d_y s (1 + x (1 - s)), s = sigmoid(x).   [eq:swish-backward]"""
    x, gate = cache
    want_same_shape(x=x, d_y=d_y)
    return d_y * gate * (1 + x * (1 - gate))
