"""Multinomial negative log-likelihood, NumPy reference: one log-sum-exp, the gradient in the same pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.ops.checks import want_canonical, want_examples, want_same_shape
from minigen.typing import CSR, Array


class SoftmaxNLLCache(NamedTuple):
    """The gradient of the mean loss in the logits, (B, M)."""

    d_logits: Array


def softmax_nll_forward(logits: Array, x: CSR, out: Array | None = None) -> tuple[float, SoftmaxNLLCache]:
    """-sum_i x[u, i] log softmax(logits[u])[i], in nats.   [eq:softmax-nll]

    logits (B, M), x CSR (B, M) of counts or weights, at least 0  ->  sum over M, mean over B.
    The gradient shares the exponentials, so the cache holds it already; it is written into `out` (B, M)
    where one is given, and out=logits overwrites the logits.
    Raises ValueError where the shapes differ or B is 0, or a row of x names an item twice.
    Liang et al. 2018, eq. 2.
    """
    want_same_shape(logits=logits, x=x)
    want_examples("logits", logits)
    want_canonical("x", x)
    d_logits = np.empty_like(logits) if out is None else out
    want_same_shape(logits=logits, out=d_logits)
    n_users = logits.shape[0]
    loss = 0.0
    for u in range(n_users):  # one row of logits fits the cache of a core, the whole batch does not
        clicks = slice(x.indptr[u], x.indptr[u + 1])
        items, weights = x.indices[clicks], x.data[clicks]
        row = d_logits[u]
        np.subtract(logits[u], logits[u].max(), out=row)  # the largest becomes 0: exp cannot overflow
        log_p = row[items]
        np.exp(row, out=row)
        total = row.sum()
        n = weights.sum()
        loss += float(n) * float(np.log(total)) - float(weights @ log_p)
        row *= n / total / n_users  # n softmax - x, over B
        row[items] -= weights / n_users
    return loss / n_users, SoftmaxNLLCache(d_logits)


def softmax_nll_backward(d_loss: float, cache: SoftmaxNLLCache) -> Array:
    """d_logits = d_loss (n_u softmax(logits[u]) - x[u]) / B, n_u = sum_i x[u, i].   [eq:softmax-nll-backward]

    For d_loss = 1 this is the cached array itself, not a copy.
    """
    return cache.d_logits if d_loss == 1 else d_loss * cache.d_logits
