"""Bernoulli negative log-likelihood of rows of clicks, Numba twin: a thread a row, no temporary arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.ops.bernoulli_nll import numpy_bernoulli_nll as reference
from minigen.ops.bernoulli_nll.numpy_bernoulli_nll import BernoulliNLLCache
from minigen.ops.checks import want_canonical, want_same_shape
from minigen.ops.numba_maths import exp_below, fast, floats, inside, parallel, prange
from minigen.typing import CSR, Array

__all__ = ["bernoulli_nll_backward", "bernoulli_nll_forward"]

PARALLEL = 2**16  # logits from which two threads beat one
_RUN = 512  # factors of at most 2, whose product float64 holds


def bernoulli_nll_forward(logits: Array, x: Array | CSR) -> tuple[float, BernoulliNLLCache]:
    """Twin of `numpy_bernoulli_nll.bernoulli_nll_forward`; dense bits are the reference's."""
    if isinstance(x, np.ndarray) or not (logits.size and floats(logits)):
        return reference.bernoulli_nll_forward(logits, x)
    want_same_shape(logits=logits, x=x)
    want_canonical("x", x)
    loss = np.empty(len(logits))
    rows = _losses_parallel if logits.size >= PARALLEL else _losses
    rows(np.ascontiguousarray(logits), x.indptr, x.indices, x.data.astype(logits.dtype, copy=False), loss)
    return float(loss.sum()) / len(logits), BernoulliNLLCache(logits, x)


def bernoulli_nll_backward(d_loss: float, cache: BernoulliNLLCache, out: Array | None = None) -> Array:
    """Twin of `numpy_bernoulli_nll.bernoulli_nll_backward`; dense bits are the reference's."""
    logits, x = cache
    d_logits = np.empty(logits.shape, logits.dtype) if out is None else out
    if isinstance(x, np.ndarray) or not (
        logits.size and floats(logits, d_logits) and d_logits.flags.c_contiguous
    ):
        return reference.bernoulli_nll_backward(d_loss, cache, out)
    want_same_shape(logits=logits, out=d_logits)
    scale = logits.dtype.type(d_loss / len(logits))
    rows = _slopes_parallel if logits.size >= PARALLEL else _slopes
    if d_logits is not logits:  # the kernel reads and writes one array: two that may overlap are no vector's
        np.copyto(d_logits, logits)
    rows(x.indptr, x.indices, x.data.astype(logits.dtype, copy=False), scale, d_logits)
    return d_logits


@fast
def _losses(logits: Array, indptr: Any, columns: Any, data: Array, loss: Array) -> None:
    # loss = (softplus(logits) - x * logits).sum(axis=1)
    for u in range(len(logits)):
        clicks = slice(indptr[u], indptr[u + 1])
        loss[u] = _loss(logits[u], columns[clicks], data[clicks])


@parallel
def _losses_parallel(logits: Array, indptr: Any, columns: Any, data: Array, loss: Array) -> None:
    # loss = (softplus(logits) - x * logits).sum(axis=1)
    for u in prange(len(logits)):
        clicks = slice(indptr[u], indptr[u + 1])
        loss[u] = _loss(logits[u], columns[clicks], data[clicks])


@fast
def _slopes(indptr: Any, columns: Any, data: Array, scale: float, rows: Array) -> None:
    # rows = scale * (sigmoid(rows) - x)
    for u in range(len(rows)):
        clicks = slice(indptr[u], indptr[u + 1])
        _slope(columns[clicks], data[clicks], scale, rows[u])


@parallel
def _slopes_parallel(indptr: Any, columns: Any, data: Array, scale: float, rows: Array) -> None:
    # rows = scale * (sigmoid(rows) - x)
    for u in prange(len(rows)):
        clicks = slice(indptr[u], indptr[u + 1])
        _slope(columns[clicks], data[clicks], scale, rows[u])


@inside
def _loss(logits: Array, columns: Any, data: Array) -> float:
    """sum softplus(logits) - x logits; of many log(1 + e) it takes the logarithm of their product once."""
    zero: Any = logits.dtype.type(0)
    total = 0.0
    for start in range(0, logits.size, _RUN):
        run = logits[start : start + _RUN]
        above, product = zero, np.float64(1)
        for j in range(run.size):
            above += max(run[j], zero)
            product *= 1 + np.float64(exp_below(-abs(run[j])))
        total += above + math.log(product)
    for q in range(columns.size):
        total -= data[q] * logits[columns[q]]
    return total


@inside
def _slope(columns: Any, data: Array, scale: float, row: Array) -> None:
    """row = scale (sigmoid(row) - x), of a row of logits."""
    one, zero = row.dtype.type(1), row.dtype.type(0)
    for j in range(row.size):
        row[j] = scale * exp_below(min(row[j], zero)) / (one + exp_below(-abs(row[j])))
    for q in range(columns.size):
        row[columns[q]] -= scale * data[q]
