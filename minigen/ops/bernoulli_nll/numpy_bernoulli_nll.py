"""Bernoulli negative log-likelihood, NumPy reference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.ops.activations.numpy_activations import sigmoid, softplus
from minigen.ops.checks import want_canonical, want_examples, want_same_shape
from minigen.ops.sparse import row_of_each
from minigen.typing import CSR, Array


class BernoulliNLLCache(NamedTuple):
    """The logits (B, D), and the bits x (B, D), dense or CSR."""

    logits: Array
    x: Array | CSR


def bernoulli_nll_forward(logits: Array, x: Array | CSR) -> tuple[float, BernoulliNLLCache]:
    """Negative log-likelihood of bits under logits, in nats.   [eq:bernoulli-nll]

    logits (B, D); x (B, D) dense or CSR, in [0, 1]  ->  sum over D, mean over B.
    Raises ValueError where the shapes differ or B is 0, or a row of a CSR x names a column twice.
    Kingma & Welling 2014, appendix C.1.
    """
    want_same_shape(logits=logits, x=x)
    want_examples("logits", logits)
    if not isinstance(x, np.ndarray):
        want_canonical("x", x)
    # -x log s(l) - (1 - x) log(1 - s(l)) = softplus(l) - x l: no logarithm of 0, no clipping.
    total = softplus(logits).sum(dtype=np.float64)
    if isinstance(x, np.ndarray):
        total -= (x * logits).sum(dtype=np.float64)
    else:
        total -= (x.data * logits[row_of_each(x), x.indices]).sum(dtype=np.float64)
    return float(total) / logits.shape[0], BernoulliNLLCache(logits, x)


def bernoulli_nll_backward(d_loss: float, cache: BernoulliNLLCache, out: Array | None = None) -> Array:
    """d_logits = d_loss (sigmoid(logits) - x) / B.   [eq:bernoulli-nll-backward]

    Written into `out` (B, D) where one is given; the logits themselves may be it, if they are needed no more.
    Raises ValueError where its shape differs.
    """
    logits, x = cache
    if out is not None:
        want_same_shape(logits=logits, out=out)
    d_logits = sigmoid(logits)
    if isinstance(x, np.ndarray):
        d_logits -= x
    else:
        d_logits[row_of_each(x), x.indices] -= x.data
    return np.multiply(d_logits, d_loss / logits.shape[0], out=d_logits if out is None else out)
