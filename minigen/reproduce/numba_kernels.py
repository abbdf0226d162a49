"""The small kernels of the compiled step: each is headed by the NumPy line that it replaces."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from minigen.ops.adam.numpy_adam import FLUSH_BELOW, FLUSH_EVERY
from minigen.typing import Array

fast = njit(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy", nogil=True)

f32 = np.float32  # a plain 1 is a float64, and would take the sum beside it along
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
_LOWEST = f32(-87)  # exp of less is no normal float32
_LOG2_E, _LN2_HIGH, _LN2_LOW = f32(1.4426950408889634), f32(0.693359375), f32(-2.12194440e-4)
_C2, _C3, _C4, _C5, _C6, _C7 = (f32(1 / math.factorial(n)) for n in range(2, 8))
_RUN = 112  # factors of at most 2 in a product: 2**112 is a float32


@fast
def exp_of_minus(a: Array, y: Array, bits: Array) -> None:  # y = np.exp(-np.abs(a))
    """exp(-|a|) = 2^n e^r by a polynomial that vectorises; below exp(-87) it stays there."""
    for j in range(a.size):
        x = max(-abs(a[j]), _LOWEST)
        n = np.int32(x * _LOG2_E - HALF)  # the nearest integer
        r = x - f32(n) * _LN2_HIGH - f32(n) * _LN2_LOW
        y[j] = ONE + r * (ONE + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * (_C6 + r * _C7))))))
        bits[j] = (n + 127) << 23
    power = bits.view(np.float32)
    for j in range(a.size):
        y[j] *= power[j]


@fast
def tanh_rows(h: Array, scratch: Array, bits: Array) -> None:  # h = np.tanh(h)
    """tanh(a) = sign(a) (1 - e) / (1 + e) for e = exp(-2|a|), in place."""
    e = scratch[: h.shape[1]]
    for i in range(h.shape[0]):
        row = h[i]
        for j in range(row.size):
            row[j] *= TWO
        exp_of_minus(row, e, bits)
        for j in range(row.size):
            row[j] = math.copysign((ONE - e[j]) / (ONE + e[j]), row[j])


@fast
def tanh_backward(d: Array, y: Array) -> None:  # d *= 1 - y * y
    """In place."""
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            d[i, j] *= ONE - y[i, j] * y[i, j]


@fast
def likelihood_rows(logits: Array, x: Array, log_w: Array, scratch: Array, bits: Array) -> None:
    """Add log p(x|z) to log_w (B, K), and leave sigmoid(logits) - x in `logits`."""
    size = logits.shape[1]
    e = scratch[:size]
    k = log_w.shape[1]
    for i in range(logits.shape[0]):
        row, target = logits[i], x[i // k]
        exp_of_minus(row, e, bits)
        total = ZERO
        for start in range(0, size, _RUN):
            # sum log(1 + e) is the logarithm of a product: one logarithm for 112 pixels
            product, part = ONE, ZERO
            for j in range(start, min(start + _RUN, size)):
                product *= ONE + e[j]
                part += max(row[j], ZERO) - target[j] * row[j]
            total += part + math.log(product)
        log_w[i // k, i % k] -= total
        for j in range(size):
            row[j] = (ONE if row[j] >= ZERO else e[j]) / (ONE + e[j]) - target[j]


@fast
def add_bias(y: Array, b: Array) -> None:  # y += b
    """In place, row by row."""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] += b[j]


@fast
def column_sums(d: Array, total: Array) -> None:  # total = d.sum(axis=0)
    """Row by row."""
    total[:] = ZERO
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            total[j] += d[i, j]


@fast
def first_layer(x: Array, w: Array, b: Array, y: Array, on: Array) -> None:  # y = x @ w + b
    """Over the pixels that are on alone, one in eight; four rows of w at a time."""
    for i in range(x.shape[0]):
        n = 0
        for pixel in range(x.shape[1]):
            on[n] = pixel
            n += x[i, pixel] != ZERO
        row = y[i]
        for j in range(row.size):
            row[j] = b[j]
        for q in range(0, n - 3, 4):
            w0, w1, w2, w3 = w[on[q]], w[on[q + 1]], w[on[q + 2]], w[on[q + 3]]
            for j in range(row.size):
                row[j] += (w0[j] + w1[j]) + (w2[j] + w3[j])
        for q in range(n - n % 4, n):
            w0 = w[on[q]]
            for j in range(row.size):
                row[j] += w0[j]


@fast
def first_layer_grad(x: Array, d_y: Array, d_w: Array, on: Array) -> None:  # d_w = x.T @ d_y
    """A row of d_w after the other, over the images in which its pixel is on."""
    for pixel in range(d_w.shape[0]):
        n = 0
        for i in range(x.shape[0]):
            on[n] = i
            n += x[i, pixel] != ZERO
        row = d_w[pixel]
        row[:] = ZERO
        for q in range(0, n - 1, 2):
            d0, d1 = d_y[on[q]], d_y[on[q + 1]]
            for j in range(row.size):
                row[j] += d0[j] + d1[j]
        if n % 2:
            d0 = d_y[on[n - 1]]
            for j in range(row.size):
                row[j] += d0[j]


@fast
def adam(
    w: Array, d_w: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> None:
    """`minigen.ops.adam_step` in one pass."""
    rate, root = f32(lr / (1 - beta1**t)), f32(1 / math.sqrt(1 - beta2**t))
    b1, b2, c1, c2, small = f32(beta1), f32(beta2), f32(1 - beta1), f32(1 - beta2), f32(eps)
    for j in range(w.size):
        m[j] = b1 * m[j] + c1 * d_w[j]
        v[j] = b2 * v[j] + c2 * (d_w[j] * d_w[j])
        w[j] -= rate * m[j] / (root * math.sqrt(v[j]) + small)
    if t % FLUSH_EVERY == 0:
        for j in range(w.size):
            m[j] = ZERO if abs(m[j]) < FLUSH_BELOW else m[j]
            v[j] = ZERO if v[j] < FLUSH_BELOW else v[j]
