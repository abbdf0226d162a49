"""Multi-layer perceptrons as plain functions over a list of layers: the body of every GAN and VAE here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigen import initializers, ops
from minigen.typing import Array, Params

ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
    "tanh": (ops.tanh_forward, ops.tanh_backward),
    "relu": (ops.relu_forward, ops.relu_backward),
}


class MLPCache(NamedTuple):
    """One dense cache and one activation cache a layer; the last layer is linear."""

    dense: list[Any]
    activations: list[Any]
    activation: str


def init_mlp(
    sizes: Sequence[int],
    rng: np.random.Generator,
    activation: str = "tanh",
    dtype: np.dtype | type = np.float32,
) -> Params:
    """Weights w0, w1, ... and biases b0, b1, ... for layers of `sizes`: He before ReLU, else Xavier; b = 0.

    Raises ValueError for fewer than two sizes or an unknown activation.
    """
    if len(sizes) < 2 or activation not in ACTIVATIONS:
        raise ValueError(
            f"want two sizes or more and one of {', '.join(ACTIVATIONS)}, got {sizes}, {activation}"
        )
    params: Params = {}
    last = len(sizes) - 2
    for n, (n_in, n_out) in enumerate(pairwise(sizes)):
        draw = initializers.he_normal if activation == "relu" and n < last else initializers.xavier_uniform
        params[f"w{n}"] = draw(n_in, n_out, rng, dtype)
        params[f"b{n}"] = np.zeros(n_out, dtype)
    return params


def mlp_forward(x: Array, params: Params, activation: str = "tanh") -> tuple[Array, MLPCache]:
    """Map x (B, I) through dense layers with `activation` between them, none after the last.   [eq:mlp]"""
    forward = ACTIVATIONS[activation][0]
    cache = MLPCache([], [], activation)
    depth = len(params) // 2
    for n in range(depth):
        x, dense = ops.dense_forward(x, params[f"w{n}"], params[f"b{n}"])
        cache.dense.append(dense)
        if n < depth - 1:
            x, act = forward(x)
            cache.activations.append(act)
    return x, cache


def mlp_backward(d_y: Array, cache: MLPCache) -> tuple[Array, Params]:
    """Pull d_y (B, O) back to d_x (B, I) and the gradient of every parameter, by name.   [eq:mlp-backward]"""
    backward = ACTIVATIONS[cache.activation][1]
    grads: Params = {}
    for n in reversed(range(len(cache.dense))):
        if n < len(cache.activations):
            d_y = backward(d_y, cache.activations[n])
        d_y, grads[f"w{n}"], grads[f"b{n}"] = ops.dense_backward(d_y, cache.dense[n])
    return d_y, grads
