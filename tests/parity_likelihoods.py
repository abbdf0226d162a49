"""The likelihoods as the test of all twins runs them, see `test_parity.py`."""

from __future__ import annotations

from typing import Any

import numpy as np


def softmax_nll(ops: Any, draw: Any, n: int, m: int, h: int) -> Any:
    scale = [1.0, 30.0, 1e4][h % 3]
    logits, x = draw.array(max(n, 1), m, scale=scale), draw.rows(max(n, 1), m, 0.2)
    loss, cache = ops.softmax_nll_forward(ops.put(logits), ops.put(x))
    return float(loss), ops.softmax_nll_backward(1.0, cache)


def softmax_nll_in_place(ops: Any, draw: Any, n: int, m: int, h: int) -> Any:
    logits, x = ops.put(draw.array(max(n, 1), m).copy()), ops.put(draw.rows(max(n, 1), m, 0.9))
    other = ops.put(np.full(logits.shape, np.nan, draw.dtype))
    loss, elsewhere = ops.softmax_nll_forward(logits, x, out=other)
    again, cache = ops.softmax_nll_forward(logits, x, out=logits)
    assert elsewhere.d_logits is other
    assert cache.d_logits is logits
    return float(loss), float(again), other, logits


def bernoulli_nll(ops: Any, draw: Any, n: int, m: int, h: int) -> Any:
    logits, x = draw.array(max(n, 1), m, scale=[1.0, 30.0, 1e4][h % 3]), draw.rows(max(n, 1), m, 0.4)
    loss, cache = ops.bernoulli_nll_forward(logits, x)
    return float(loss), ops.bernoulli_nll_backward(0.7, cache)


def bernoulli_nll_in_place(ops: Any, draw: Any, n: int, m: int, h: int) -> Any:
    logits, x = draw.array(max(n, 1), m).copy(), draw.rows(max(n, 1), m, 0.4)
    other = np.full(logits.shape, np.nan, draw.dtype)
    _, cache = ops.bernoulli_nll_forward(logits, x)
    assert ops.bernoulli_nll_backward(0.7, cache, out=other) is other
    assert ops.bernoulli_nll_backward(0.7, cache, out=logits) is logits
    return other, logits
