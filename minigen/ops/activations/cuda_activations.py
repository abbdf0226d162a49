"""Element-wise activations, CUDA twin: the formula of an entry, and `of_one` or `of_two` for the array."""

from __future__ import annotations

import math
from typing import Any

from minigen.ops.checks import want_same_shape
from minigen.ops.cuda_elementwise import of_one, of_two
from minigen.typing import Array

_SLOPE = 0.2  # of the leaky ReLU below 0


def tanh_forward(x: Array) -> tuple[Array, Array]:
    """Twin of `numpy_activations.tanh_forward`."""
    y = _tanh(x)
    return y, y


def tanh_backward(d_y: Array, cache: Array) -> Array:
    """Twin of `numpy_activations.tanh_backward`."""
    want_same_shape(y=cache, d_y=d_y)
    return _tanh_backward(d_y, cache)


def relu_forward(x: Array) -> tuple[Array, Array]:
    """Twin of `numpy_activations.relu_forward`."""
    return _relu(x), x


def relu_backward(d_y: Array, cache: Array) -> Array:
    """Twin of `numpy_activations.relu_backward`."""
    want_same_shape(x=cache, d_y=d_y)
    return _relu_backward(d_y, cache)


def leaky_relu_forward(x: Array) -> tuple[Array, Array]:
    """Twin of `numpy_activations.leaky_relu_forward`."""
    return _leaky_relu(x), x


def leaky_relu_backward(d_y: Array, cache: Array) -> Array:
    """Twin of `numpy_activations.leaky_relu_backward`."""
    want_same_shape(x=cache, d_y=d_y)
    return _leaky_relu_backward(d_y, cache)


def sigmoid(x: Array) -> Array:
    """Twin of `numpy_activations.sigmoid`."""
    return _sigmoid(x)


def sigmoid_forward(x: Array) -> tuple[Array, Array]:
    """Twin of `numpy_activations.sigmoid_forward`."""
    y = _sigmoid(x)
    return y, y


def sigmoid_backward(d_y: Array, cache: Array) -> Array:
    """Twin of `numpy_activations.sigmoid_backward`."""
    want_same_shape(y=cache, d_y=d_y)
    return _sigmoid_backward(d_y, cache)


def softplus(x: Array) -> Array:
    """Twin of `numpy_activations.softplus`."""
    return _softplus(x)


def softplus_forward(x: Array) -> tuple[Array, Array]:
    """Twin of `numpy_activations.softplus_forward`."""
    return _softplus(x), x


def softplus_backward(d_y: Array, cache: Array) -> Array:
    """Twin of `numpy_activations.softplus_backward`."""
    want_same_shape(x=cache, d_y=d_y)
    return _softplus_backward(d_y, cache)


# Constants take the type of the array: one in float64 would take its whole expression along.


@of_one
def _tanh(x: Any, real: Any) -> Any:
    return math.tanh(x)


@of_two
def _tanh_backward(d_y: Any, y: Any, real: Any) -> Any:
    return d_y * (real(1) - y * y)


@of_one
def _relu(x: Any, real: Any) -> Any:  # a NaN stays one
    return real(0) if x < real(0) else x


@of_two
def _relu_backward(d_y: Any, x: Any, real: Any) -> Any:
    return d_y if x > real(0) else real(0)


@of_one
def _leaky_relu(x: Any, real: Any) -> Any:
    return x if x > real(0) else real(_SLOPE) * x


@of_two
def _leaky_relu_backward(d_y: Any, x: Any, real: Any) -> Any:
    return d_y if x > real(0) else real(_SLOPE) * d_y


@of_one
def _sigmoid(x: Any, real: Any) -> Any:
    small = real(math.exp(-abs(x)))
    return (real(1) if x >= real(0) else small) / (real(1) + small)


@of_two
def _sigmoid_backward(d_y: Any, y: Any, real: Any) -> Any:
    return d_y * y * (real(1) - y)


@of_one
def _softplus(x: Any, real: Any) -> Any:
    return max(x, real(0)) + math.log1p(math.exp(-abs(x)))


@of_two
def _softplus_backward(d_y: Any, x: Any, real: Any) -> Any:
    small = real(math.exp(-abs(x)))
    return d_y * (real(1) if x >= real(0) else small) / (real(1) + small)
