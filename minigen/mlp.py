"""Multi-layer perceptrons as plain functions over a list of layers: the body of every GAN and VAE here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigen import initializers, ops
from minigen.ops.checks import want_shape
from minigen.typing import Array, Params


class Activation(NamedTuple):
    """Both passes, and phi''(h) from the cache; None where it is 0 wherever it exists."""

    forward: Callable[[Array], tuple[Array, Array]]
    backward: Callable[[Array, Array], Array]
    curvature: Callable[[Array], Array] | None = None


def _tanh_curvature(y: Array) -> Array:
    return -2 * y * (1 - y * y)


def _softplus_curvature(h: Array) -> Array:
    y = ops.sigmoid(h)
    return y * (1 - y)


ACTIVATIONS = {
    "tanh": Activation(ops.tanh_forward, ops.tanh_backward, _tanh_curvature),
    "softplus": Activation(ops.softplus_forward, ops.softplus_backward, _softplus_curvature),
    "relu": Activation(ops.relu_forward, ops.relu_backward),
    "leaky-relu": Activation(ops.leaky_relu_forward, ops.leaky_relu_backward),
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
    """Weights w0, w1, ... and biases b0, b1, ... for layers of `sizes`: He before a ReLU, else Xavier; b = 0.

    Raises ValueError for fewer than two sizes or an unknown activation.
    """
    if len(sizes) < 2 or activation not in ACTIVATIONS:
        raise ValueError(
            f"want two sizes or more and one of {', '.join(ACTIVATIONS)}, got {sizes}, {activation}"
        )
    params: Params = {}
    last = len(sizes) - 2
    for n, (n_in, n_out) in enumerate(pairwise(sizes)):
        he = activation.endswith("relu") and n < last
        draw = initializers.he_normal if he else initializers.xavier_uniform
        params[f"w{n}"] = draw(n_in, n_out, rng, dtype)
        params[f"b{n}"] = np.zeros(n_out, dtype)
    return params


def mlp_forward(x: Array, params: Params, activation: str = "tanh") -> tuple[Array, MLPCache]:
    """Map x (B, I) through dense layers with `activation` between them, none after the last.   [eq:mlp]

    h_0 = x w_0 + b_0,  h_n = phi(h_{n-1}) w_n + b_n,  y = h_N.
    """
    forward = ACTIVATIONS[activation].forward
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
    backward = ACTIVATIONS[cache.activation].backward
    grads: Params = {}
    for n in reversed(range(len(cache.dense))):
        if n < len(cache.activations):
            d_y = backward(d_y, cache.activations[n])
        d_y, grads[f"w{n}"], grads[f"b{n}"] = ops.dense_backward(d_y, cache.dense[n])
    return d_y, grads


class InputGradientCache(NamedTuple):
    """The forward pass, s_n = dy/dh_n (B, O_n) of every layer, and v_n = dy/dphi(h_{n-1}) (B, I_n)."""

    mlp: MLPCache
    s: list[Array]
    v: list[Array]


def input_gradient_forward(cache: MLPCache) -> tuple[Array, InputGradientCache]:
    """g = dy/dx (B, I) of a perceptron with one output, example by example.   [eq:input-gradient]

    s_N = 1;  v_n = s_n w_n^T;  s_{n-1} = v_n phi'(h_{n-1});  g = v_0.
    Raises ValueError where the perceptron has more outputs than one.
    """
    want_shape("w of the last layer", cache.dense[-1].w, (None, 1))
    backward = ACTIVATIONS[cache.activation].backward
    x, w = cache.dense[-1]
    s = [np.ones((x.shape[0], 1), x.dtype)]
    v = [s[0] @ w.T]
    for dense, act in zip(reversed(cache.dense[:-1]), reversed(cache.activations)):
        s.append(backward(v[-1], act))
        v.append(s[-1] @ dense.w.T)
    return v[-1], InputGradientCache(cache, s[::-1], v[::-1])


def input_gradient_backward(d_g: Array, cache: InputGradientCache) -> tuple[Array, Params]:
    """Pull d_g (B, I) back to d_x (B, I) and every parameter: a second derivative.   [eq:double-backward]

    Up through eq:input-gradient, which ran down, with d_v_0 = d_g:
        d_s_n = d_v_n w_n;  d_w_n = d_v_n^T s_n;  d_v_{n+1} = d_s_n phi'(h_n);
    and since phi' depends on h_n too, d_h_n = d_s_n v_{n+1} phi''(h_n): the second-order term,
    which then goes down through eq:mlp like any gradient, to d_x, to the biases, and into d_w_n again.
    """
    mlp, s, v = cache
    want_shape("d_g", d_g, v[0].shape)
    _, backward, curvature = ACTIVATIONS[mlp.activation]
    grads = {f"b{n}": np.zeros_like(dense.w[0]) for n, dense in enumerate(mlp.dense)}
    d_s, d_v = [], d_g
    for n, dense in enumerate(mlp.dense):
        grads[f"w{n}"] = d_v.T @ s[n]
        d_s.append(d_v @ dense.w)
        if n < len(mlp.activations):
            d_v = backward(d_s[n], mlp.activations[n])
    if curvature is None:
        return np.zeros_like(d_g), grads
    d_a = np.zeros_like(v[-1])  # of phi(h_{N-1}): y itself is not in g
    for n, act in reversed(list(enumerate(mlp.activations))):
        d_h = d_s[n] * v[n + 1] * curvature(act) + backward(d_a, act)
        d_a, d_w, grads[f"b{n}"] = ops.dense_backward(d_h, mlp.dense[n])
        grads[f"w{n}"] += d_w
    return d_a, grads
