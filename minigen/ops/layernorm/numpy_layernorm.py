"""Layer normalisation, NumPy reference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.ops.checks import want_same_shape, want_shape
from minigen.typing import Array


class LayerNormCache(NamedTuple):
    """The normalised rows n (B, H), 1 / sqrt(var + eps) of each (B, 1), and the gain (H,)."""

    normal: Array
    inverse_std: Array
    gain: Array


def layer_norm_forward(x: Array, gain: Array, b: Array, eps: float = 1e-5) -> tuple[Array, LayerNormCache]:
    """y = gain n + b,   n = (x - mean) / sqrt(var + eps), over each row of x (B, H).   [eq:layer-norm]

    gain and b (H,); var is the mean of squares, without H - 1.
    Raises ValueError where the shapes differ.  Ba, Kiros & Hinton 2016, eq. 3 and 4.
    """
    want_shape("gain", gain, (None,))
    want_shape("x", x, (None, gain.size))
    want_same_shape(gain=gain, b=b)
    normal = x - x.mean(axis=1, keepdims=True)
    inverse_std = 1 / np.sqrt((normal * normal).mean(axis=1, keepdims=True) + eps)
    normal *= inverse_std
    return gain * normal + b, LayerNormCache(normal, inverse_std, gain)


def layer_norm_backward(d_y: Array, cache: LayerNormCache) -> tuple[Array, Array, Array]:
    """Pull d_y (B, H) back to d_x (B, H), d_gain (H,), d_b (H,).   [eq:layer-norm-backward]

    d_x = (d_n - mean(d_n) - n mean(d_n n)) / sqrt(var + eps),   d_n = d_y gain.
    """
    normal, inverse_std, gain = cache
    want_same_shape(x=normal, d_y=d_y)
    d_normal = d_y * gain
    # Mean and variance are made of x too: what d_n has along 1 and along n changes nothing.
    d_x = d_normal - d_normal.mean(axis=1, keepdims=True)
    d_x -= normal * (d_normal * normal).mean(axis=1, keepdims=True)
    d_x *= inverse_std
    return d_x, (d_y * normal).sum(axis=0), d_y.sum(axis=0)
