"""Passes of CFGAN's generator in one kernel: what `cfgan_model` and Adam do step by step.

With 32 rows a step, Python, temporary arrays and further walks over the weights cost more than the products.
Here the L2 term is added, and its norm summed, while Adam has the weights in hand.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.ops.adam.numpy_adam import FLUSH_BELOW, FLUSH_EVERY
from minigen.ops.numba_maths import exp_below, fast, inside
from minigen.typing import Array

_RUN = 2**8  # squares that float32 adds up before float64 takes over


@fast
def generator_passes(
    orders: Any, size: int, x: Any, places: Any, known: Array,
    g: Any, m: Any, v: Any, d: Any, form: Any, adam: Any, t: int, losses: Array,
) -> None:  # fmt: skip
    """A step of G, while D is still, on every `size` rows of each order (P, R); its loss goes to `losses`.

    x: indptr, indices and data of the rows (R, N).  places: mask and zeros (R, N); known (R, H_D): as in
    `generator_forward`, and empty for all, nowhere, and without an adversary.  g, m, v: w_in, b_in, w_out,
    b_out and their moments; d: w_data, w_out, b_out.  form: gan, zeros, clicks, l2_g, l2_d.
    adam: lr, beta1, beta2, eps.  t: steps of Adam so far.
    """
    w_in, b_in, w_out, b_out = g
    n, hidden = w_in.shape
    mask, zeros = places
    h, d_a = np.empty((size, hidden), w_in.dtype), np.empty((size, hidden), w_in.dtype)
    y, d_y = np.empty((size, n), w_in.dtype), np.empty((size, n), w_in.dtype)
    d_w_out, d_row, d_b_out = np.empty_like(w_out), np.empty_like(b_in), np.empty_like(b_out)
    start, users, values = np.empty(n + 1, np.int64), np.empty(x[1].size, np.int64), np.empty_like(x[2])
    step = 0
    for p in range(orders.shape[0]):
        for first in range(0, orders.shape[1], size):
            rows = orders[p, first : first + size]
            b = rows.size
            _hidden(rows, x, w_in, b_in, h)
            np.dot(h[:b], w_out, y[:b])
            loss = _squares(rows, x, zeros, b_out, y, d_y, form)
            if known.size:
                loss += _verdict(rows, mask, known, d, y, d_y, form)
            d_h = np.dot(w_out, d_y[:b].T)  # (H, B): BLAS is twice as fast this way round
            for r in range(b):
                for j in range(hidden):
                    d_a[r, j] = d_h[j, r] * h[r, j] * (1 - h[r, j])
            np.dot(h[:b].T, d_y[:b], d_w_out)
            t += 1
            numbers = _numbers(adam, form, t)
            norm = _adam(
                w_out.reshape(-1), d_w_out.reshape(-1), m[2].reshape(-1), v[2].reshape(-1), numbers, t
            )
            _sum(d_y[:b], d_b_out)
            norm += _adam(b_out, d_b_out, m[3], v[3], numbers, t)
            _sum(d_a[:b], d_row)
            norm += _adam(b_in, d_row, m[1], v[1], numbers, t)
            _by_place(rows, x, start, users, values)
            for i in range(n):  # w_in
                d_row[:] = 0
                for q in range(start[i], start[i + 1]):
                    one, factor = d_a[users[q]], values[q]
                    for j in range(hidden):
                        d_row[j] += factor * one[j]
                norm += _adam(w_in[i], d_row, m[0][i], v[0][i], numbers, t)
            losses[step] = loss + form[3] / 2 * norm
            step += 1


@inside
def _hidden(
    rows: Any, x: Any, w_in: Array, b_in: Array, h: Array
) -> None:  # h = sigmoid(x[rows] @ w_in + b_in)
    indptr, indices, data = x
    for r in range(rows.size):
        row = h[r]
        row[:] = b_in
        for q in range(indptr[rows[r]], indptr[rows[r] + 1]):
            one, factor = w_in[indices[q]], data[q]
            for j in range(row.size):
                row[j] += factor * one[j]
        _sigmoid(row)


@inside
def _sigmoid(a: Array) -> None:  # a = sigmoid(a)
    one, zero = a.dtype.type(1), a.dtype.type(0)
    for j in range(a.size):
        a[j] = exp_below(min(a[j], zero)) / (one + exp_below(-abs(a[j])))


@inside
def _squares(rows: Any, x: Any, zeros: Array, b_out: Array, y: Array, d_y: Array, form: Any) -> float:
    """y += b_out; d_y and the loss of the squares, where y should be 0 and at the clicks."""
    indptr, indices, _ = x
    total, at_clicks = 0.0, 0.0
    quiet, loud = y.dtype.type(2 * form[1] / rows.size), y.dtype.type(2 * form[2] / rows.size)
    for r in range(rows.size):
        y_r, d_r, of_row = y[r], d_y[r], y.dtype.type(0)
        for j in range(y_r.size):
            y_r[j] += b_out[j]
        if zeros.size:
            z_r = zeros[rows[r]]
            for j in range(y_r.size):
                d_r[j] = y_r[j] * z_r[j]
                of_row += d_r[j] * y_r[j]
                d_r[j] *= quiet
        else:
            d_r[:] = 0
        total += float(of_row)
        if form[2]:
            for q in range(indptr[rows[r]], indptr[rows[r] + 1]):
                short = y_r[indices[q]] - 1
                at_clicks += short * short
                d_r[indices[q]] += loud * short
    return (form[1] * total + form[2] * at_clicks) / rows.size


@inside
def _verdict(rows: Any, mask: Array, known: Array, d: Any, y: Array, d_y: Array, form: Any) -> float:
    """gan mean -log D(y * mask | x), and its gradient onto d_y; y is spent."""
    w_data, w_out, b_out = d
    b, total = rows.size, 0.0
    if mask.size:
        for r in range(b):
            y[r] *= mask[rows[r]]
    h = np.dot(y[:b], w_data)
    for r in range(b):
        h[r] += known[rows[r]]
        _sigmoid(h[r])
        logit = float(b_out[0])
        for j in range(h.shape[1]):
            logit += h[r, j] * w_out[j, 0]
        total += max(-logit, 0.0) + math.log1p(math.exp(-abs(logit)))
        slope = h.dtype.type(-form[0] / (b * (1 + math.exp(logit))))
        for j in range(h.shape[1]):
            h[r, j] = slope * w_out[j, 0] * h[r, j] * (1 - h[r, j])
    np.dot(h, w_data.T, y[:b])
    for r in range(b):
        y_r, d_r = y[r], d_y[r]
        if mask.size:
            y_r *= mask[rows[r]]
        for j in range(y_r.size):
            d_r[j] += y_r[j]
    return form[0] * total / b


@inside
def _sum(a: Array, out: Array) -> None:  # out = a.sum(axis=0)
    out[:] = 0
    for r in range(a.shape[0]):
        row = a[r]
        for j in range(out.size):
            out[j] += row[j]


@inside
def _by_place(rows: Any, x: Any, start: Any, users: Any, values: Array) -> None:  # x[rows].tocsc()
    indptr, indices, data = x
    start[:] = 0
    for r in range(rows.size):
        for q in range(indptr[rows[r]], indptr[rows[r] + 1]):
            start[indices[q]] += 1
    total = 0
    for i in range(start.size):
        total += start[i]
        start[i] = total  # the end of each place, from where the rows are put, last first
    for r in range(rows.size - 1, -1, -1):
        for q in range(indptr[rows[r]], indptr[rows[r] + 1]):
            i = indices[q]
            start[i] -= 1
            users[start[i]], values[start[i]] = r, data[q]


@inside
def _numbers(adam: Any, form: Any, t: int) -> Any:
    """rate, root, beta1, beta2, 1 - beta1, 1 - beta2, eps and l2: see `count_step`."""
    lr, beta1, beta2, eps = adam
    root = 1 / math.sqrt(1 - beta2**t)
    return lr / (1 - beta1**t), root, beta1, beta2, 1 - beta1, 1 - beta2, eps, form[3]


@inside
def _adam(w: Array, d_w: Array, m: Array, v: Array, numbers: Any, t: int) -> Any:
    """Adam of d_w + l2 w; the sum of squares of w as it was."""
    kind = w.dtype.type
    rate, root, beta1, beta2 = kind(numbers[0]), kind(numbers[1]), kind(numbers[2]), kind(numbers[3])
    rest1, rest2, eps, l2 = kind(numbers[4]), kind(numbers[5]), kind(numbers[6]), kind(numbers[7])
    norm = 0.0
    for start in range(0, w.size, _RUN):
        run = slice(start, start + _RUN)
        part, w_, d_w_, m_, v_ = kind(0), w[run], d_w[run], m[run], v[run]
        for j in range(w_.size):
            grad = d_w_[j] + l2 * w_[j]
            part += w_[j] * w_[j]
            m_[j] = beta1 * m_[j] + rest1 * grad
            v_[j] = beta2 * v_[j] + rest2 * (grad * grad)
            w_[j] -= rate * m_[j] / (root * math.sqrt(v_[j]) + eps)
        norm += float(part)
    if t % FLUSH_EVERY == 0:
        for j in range(w.size):
            if abs(m[j]) < FLUSH_BELOW:
                m[j] = 0
            if v[j] < FLUSH_BELOW:
                v[j] = 0
    return norm
