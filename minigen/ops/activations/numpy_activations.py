"""Element-wise activations, forward and backward."""

from __future__ import annotations

import numpy as np

from minigen.ops.checks import want_same_shape
from minigen.typing import Array

_SLOPE = 0.2  # of the leaky ReLU below 0


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """y = tanh(x), of any shape; the cache is y.   [eq:tanh]"""
    y = np.tanh(x)
    return y, y


def tanh_backward(d_y: Array, cache: Array) -> Array:
    """d_x = d_y (1 - y^2).   [eq:tanh-backward]"""
    want_same_shape(y=cache, d_y=d_y)
    return d_y * (1 - cache * cache)


def relu_forward(x: Array) -> tuple[Array, Array]:
    """y = max(x, 0), of any shape; the cache is x.   [eq:relu]"""
    return np.maximum(x, 0), x


def relu_backward(d_y: Array, cache: Array) -> Array:
    """d_x = d_y where x > 0, else 0.   [eq:relu-backward]

    The mask asks the input: y >= 0 would be true everywhere.
    """
    want_same_shape(x=cache, d_y=d_y)
    return d_y * (cache > 0)


def leaky_relu_forward(x: Array) -> tuple[Array, Array]:
    """y = x where x > 0, else x / 5, of any shape; the cache is x.   [eq:leaky-relu]

    No unit is ever closed: a discriminator has a slope for the generator everywhere.  Maas et al. 2013.
    """
    return np.maximum(x, _SLOPE * x), x


def leaky_relu_backward(d_y: Array, cache: Array) -> Array:
    """d_x = d_y where x > 0, else d_y / 5.   [eq:leaky-relu-backward]"""
    want_same_shape(x=cache, d_y=d_y)
    slope = (cache > 0).astype(cache.dtype)  # np.where takes three times as long
    slope *= 1 - _SLOPE
    slope += _SLOPE
    return d_y * slope


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow: exp sees only -|x|.   [eq:sigmoid]"""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))  # np.where takes longer than the second exp


def sigmoid_forward(x: Array) -> tuple[Array, Array]:
    """y = sigmoid(x), of any shape; the cache is y."""
    y = sigmoid(x)
    return y, y


def sigmoid_backward(d_y: Array, cache: Array) -> Array:
    """d_x = d_y y (1 - y).   [eq:sigmoid-backward]"""
    want_same_shape(y=cache, d_y=d_y)
    return d_y * cache * (1 - cache)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow.   [eq:softplus]"""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_forward(x: Array) -> tuple[Array, Array]:
    """y = softplus(x), of any shape; the cache is x."""
    return softplus(x), x


def softplus_backward(d_y: Array, cache: Array) -> Array:
    """d_x = d_y sigmoid(x).   [eq:softplus-backward]"""
    want_same_shape(x=cache, d_y=d_y)
    return d_y * sigmoid(cache)
