"""A whole training step of the IWAE in one compiled function, the twin of `minigen.iwae` and `ops.adam_step`.

At batch 20 a step is 50 million operations, 1 ms: calls and passes over memory, not sums, are what it costs.
Weights and biases stand in two tuples, the encoder's three layers first; every array is float32 in C order.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minigen.reproduce.numba_kernels import (
    HALF,
    ONE,
    ZERO,
    adam,
    add_bias,
    column_sums,
    fast,
    first_layer,
    first_layer_grad,
    likelihood_rows,
    tanh_backward,
    tanh_rows,
)
from minigen.typing import Array

ENCODER = 3  # layers; the decoder has as many


class Workspace(NamedTuple):
    """Arrays used again from step to step, for B images and R = B K rows of codes."""

    x: Array  # (B, D) bits
    eps: Array  # (R, Z)
    z: Array  # (R, Z)
    log_w: Array  # (B, K), then the weights divided by B
    h: tuple[Array, ...]  # what each layer gave: the encoder's with B rows, the decoder's with R
    d: tuple[Array, ...]  # their gradients
    d_z: Array  # (R, Z)
    d_w: tuple[Array, ...]
    d_b: tuple[Array, ...]
    scratch: Array  # (widest,)
    bits: Array  # (widest,) int32


def workspace(weights: tuple[Array, ...], batch: int, k: int) -> Workspace:
    """Room for `k` samples of each of `batch` images."""
    inputs, latent = len(weights[0]), len(weights[ENCODER])
    rows = [batch] * ENCODER + [batch * k] * ENCODER
    empty = lambda *shape: np.empty(shape, np.float32)  # noqa: E731
    widest = max(w.shape[1] for w in weights)
    return Workspace(
        empty(batch, inputs), empty(batch * k, latent), empty(batch * k, latent), empty(batch, k),
        tuple(empty(n, w.shape[1]) for n, w in zip(rows, weights)),
        tuple(empty(n, w.shape[1]) for n, w in zip(rows, weights)),
        empty(batch * k, latent),
        tuple(map(np.empty_like, weights)),
        tuple(empty(w.shape[1]) for w in weights),
        empty(widest), np.empty(widest, np.int32),
    )  # fmt: skip


@fast
def forward(weights: Any, biases: Any, ws: Any) -> None:
    """Fill ws.z, ws.h and ws.log_w from the bits ws.x and the noise ws.eps."""
    first_layer(ws.x, weights[0], biases[0], ws.h[0], ws.bits)
    tanh_rows(ws.h[0], ws.scratch, ws.bits)
    for n in range(1, 2 * ENCODER):
        if n == ENCODER:
            sample(ws.h[n - 1], ws.eps, ws.z, ws.log_w)
        np.dot(ws.z if n == ENCODER else ws.h[n - 1], weights[n], ws.h[n])
        add_bias(ws.h[n], biases[n])
        if n % ENCODER < ENCODER - 1:
            tanh_rows(ws.h[n], ws.scratch, ws.bits)
    likelihood_rows(ws.h[2 * ENCODER - 1], ws.x, ws.log_w, ws.scratch, ws.bits)


@fast
def sample(code: Array, eps: Array, z: Array, log_w: Array) -> None:
    """z = mu + exp(log_var / 2) eps, and log p(z) - log q(z|x) = sum (eps^2 + log_var - z^2) / 2."""
    latent, k = z.shape[1], log_w.shape[1]
    for i in range(z.shape[0]):
        total = ZERO
        for j in range(latent):
            mu, log_var = code[i // k, j], code[i // k, latent + j]
            z[i, j] = mu + math.exp(log_var * HALF) * eps[i, j]
            total += eps[i, j] * eps[i, j] + log_var - z[i, j] * z[i, j]
        log_w[i // k, i % k] = total * HALF


@fast
def bound(log_w: Array) -> float:
    """Mean over B of log (1/K) sum w; leaves the weight of each sample in the mean's gradient in log_w."""
    batch, k = log_w.shape
    total = 0.0
    for i in range(batch):
        row = log_w[i]
        top = row.max()
        s = 0.0
        for j in range(k):
            row[j] = math.exp(row[j] - top)
            s += row[j]
        total += top + math.log(s / k)
        for j in range(k):
            row[j] /= s * batch
    return total / batch


@fast
def backward(weights: Any, ws: Any) -> None:
    """Fill ws.d_w and ws.d_b with the gradients of minus the bound, from ws.log_w as `bound` left it."""
    top = 2 * ENCODER - 1
    share = ws.log_w.reshape(-1)
    for i in range(share.size):
        for j in range(ws.h[top].shape[1]):
            ws.h[top][i, j] *= share[i]  # it held sigmoid(logits) - x
    d = ws.h[top]
    for n in range(top, -1, -1):
        below = ws.z if n == ENCODER else ws.h[n - 1]
        if n == 0:
            first_layer_grad(ws.x, d, ws.d_w[0], ws.bits)
        else:
            np.dot(below.T, d, ws.d_w[n])
        column_sums(d, ws.d_b[n])
        if n == ENCODER:
            np.dot(d, weights[n].T, ws.d_z)
            sample_backward(ws.h[n - 1], ws.eps, ws.z, share, ws.d_z, ws.d[n - 1])
            d = ws.d[n - 1]
        elif n > 0:
            np.dot(d, weights[n].T, ws.d[n - 1])
            d = ws.d[n - 1]
            tanh_backward(d, below)


@fast
def sample_backward(code: Array, eps: Array, z: Array, share: Array, d_z: Array, d_code: Array) -> None:
    """Through z, p(z) and q(z|x): with z = mu + std eps, log q is -log_var / 2 and what has no gradient."""
    latent, k = z.shape[1], z.shape[0] // code.shape[0]
    d_code[:] = ZERO
    for i in range(z.shape[0]):
        d = d_code[i // k]
        for j in range(latent):
            d_total = d_z[i, j] + share[i] * z[i, j]
            std = math.exp(code[i // k, latent + j] * HALF)
            d[j] += d_total
            d[latent + j] += HALF * (d_total * eps[i, j] * std - share[i])


@fast
def draw_bits(grey: Any, rows: np.ndarray, rng: np.random.Generator, ws: Any) -> None:
    """ws.x of the images `rows`: a pixel is 1 with the probability of its grey, drawn anew each time."""
    start, pixel, probability = grey
    ws.x[:] = ZERO
    for i in range(rows.size):
        for j in range(start[rows[i]], start[rows[i] + 1]):
            if rng.random() < probability[j]:
                ws.x[i, pixel[j]] = ONE


@fast
def draw_noise(rng: np.random.Generator, ws: Any) -> None:
    """ws.eps ~ N(0, I)."""
    for i in range(ws.eps.shape[0]):
        for j in range(ws.eps.shape[1]):
            ws.eps[i, j] = rng.standard_normal()


@fast
def steps(
    weights: Any,
    biases: Any,
    moments: Any,
    t: int,
    settings: tuple[float, float, float, float],
    grey: Any,
    rows: np.ndarray,
    rng: np.random.Generator,
    ws: Any,
) -> float:
    """One step of Adam for each row of `rows` (S, B), indices of images; returns the mean loss, in nats.

    Changes weights, biases and moments (m and v of the weights, m and v of the biases) in place; t steps
    were made before; settings: lr, beta1, beta2, eps.
    """
    lr, beta1, beta2, eps = settings
    m_w, v_w, m_b, v_b = moments
    total = 0.0
    for row in range(rows.shape[0]):
        draw_bits(grey, rows[row], rng, ws)
        draw_noise(rng, ws)
        forward(weights, biases, ws)
        total -= bound(ws.log_w)
        backward(weights, ws)
        t += 1
        for n in range(len(weights)):
            w, d_w, m, v = weights[n], ws.d_w[n], m_w[n], v_w[n]
            adam(w.reshape(-1), d_w.reshape(-1), m.reshape(-1), v.reshape(-1), t, lr, beta1, beta2, eps)
            adam(biases[n], ws.d_b[n], m_b[n], v_b[n], t, lr, beta1, beta2, eps)
    return total / max(rows.shape[0], 1)


@fast
def estimate(
    weights: Any, biases: Any, grey: Any, rows: np.ndarray, rounds: int, rng: np.random.Generator, ws: Any
) -> Array:
    """-log (1/S) sum w (B,) of the images `rows`, S = rounds K samples each, in nats."""
    draw_bits(grey, rows, rng, ws)
    batch, k = ws.log_w.shape
    total = np.full(batch, -np.inf)
    for _ in range(rounds):
        draw_noise(rng, ws)
        forward(weights, biases, ws)
        for i in range(batch):
            top = max(total[i], float(ws.log_w[i].max()))
            s = math.exp(total[i] - top)
            for j in range(k):
                s += math.exp(ws.log_w[i, j] - top)
            total[i] = top + math.log(s)
    return math.log(rounds * k) - total
