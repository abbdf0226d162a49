"""Multinomial negative log-likelihood, Numba twin: a thread a row, in place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.ops.checks import want_canonical, want_same_shape
from minigen.ops.numba_maths import exp_below, fast, floats, inside, parallel, prange, row_max
from minigen.ops.softmax_nll import numpy_softmax_nll as reference
from minigen.ops.softmax_nll.numpy_softmax_nll import SoftmaxNLLCache, softmax_nll_backward
from minigen.typing import CSR, Array

__all__ = ["softmax_nll_backward", "softmax_nll_forward"]

PARALLEL = 2**16  # logits from which two threads beat one
_RUN = 512  # terms that float32 adds up before float64 takes over


def softmax_nll_forward(logits: Array, x: CSR, out: Array | None = None) -> tuple[float, SoftmaxNLLCache]:
    """Twin of `numpy_softmax_nll.softmax_nll_forward`."""
    if not (logits.size and floats(logits)) or (
        out is not None and not (out.dtype == logits.dtype and out.flags.c_contiguous)
    ):
        return reference.softmax_nll_forward(logits, x, out)
    want_same_shape(logits=logits, x=x)
    want_canonical("x", x)
    out = np.empty(logits.shape, logits.dtype) if out is None else out
    want_same_shape(logits=logits, out=out)
    weights = x.data.astype(out.dtype, copy=False)
    loss = np.empty(len(out))
    rows = _rows_parallel if out.size >= PARALLEL else _rows
    rows(np.ascontiguousarray(logits), x.indptr, x.indices, weights, loss, out is logits, out)
    return float(loss.sum()) / len(out), SoftmaxNLLCache(out)


@fast
def _rows(
    logits: Array, indptr: Any, items: Any, weights: Array, loss: Array, in_place: bool, out: Array
) -> None:  # loss = -(x * log_softmax(logits)).sum(axis=1); out = (x.sum(axis=1) * softmax(logits) - x) / B
    for u in range(len(logits)):
        clicks = slice(indptr[u], indptr[u + 1])
        loss[u] = _row(logits[u], items[clicks], weights[clicks], len(logits), in_place, out[u])


@parallel
def _rows_parallel(
    logits: Array, indptr: Any, items: Any, weights: Array, loss: Array, in_place: bool, out: Array
) -> None:  # loss = -(x * log_softmax(logits)).sum(axis=1); out = (x.sum(axis=1) * softmax(logits) - x) / B
    for u in prange(len(logits)):
        clicks = slice(indptr[u], indptr[u + 1])
        loss[u] = _row(logits[u], items[clicks], weights[clicks], len(logits), in_place, out[u])


@inside
def _row(logits: Array, items: Any, weights: Array, n_users: int, in_place: bool, row: Array) -> float:
    """Write the gradient of a row of logits into `row`, the same row or another; returns its loss."""
    top = row_max(logits)
    n = log_p = 0.0
    for q in range(items.size):  # log_p = weights @ (row[items] - top)
        log_p += weights[q] * (logits[items[q]] - top)
        n += weights[q]
    total = 0.0
    for start in range(0, row.size, _RUN):  # row = np.exp(logits - top); total = row.sum()
        run, before = row[start : start + _RUN], logits[start : start + _RUN]
        part: Any = row.dtype.type(0)
        if not in_place:
            for j in range(run.size):
                run[j] = before[j]
        for j in range(run.size):  # of one array: the same loop over two that may overlap is no vector's
            run[j] = exp_below(run[j] - top)
            part += run[j]
        total += part
    scale = row.dtype.type(n / total / n_users)
    for j in range(row.size):  # row *= n / total / n_users
        row[j] *= scale
    for q in range(items.size):  # row[items] -= weights / n_users
        row[items[q]] -= weights[q] / n_users
    return n * math.log(total) - log_p
