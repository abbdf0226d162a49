"""Multinomial negative log-likelihood, CUDA twin: a block a row, in place."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda

from minigen.ops.checks import want_canonical, want_examples, want_same_shape
from minigen.ops.cuda_arrays import Scalar, empty, mean
from minigen.ops.cuda_kernels import THREADS, add_up, blocks, kernel, spread
from minigen.ops.softmax_nll.numpy_softmax_nll import SoftmaxNLLCache
from minigen.typing import CSR, Array


def softmax_nll_forward(logits: Array, x: CSR, out: Array | None = None) -> tuple[Scalar, SoftmaxNLLCache]:
    """Twin of `numpy_softmax_nll.softmax_nll_forward`; the loss is on the device until float() reads it."""
    want_same_shape(logits=logits, x=x)
    want_examples("logits", logits)
    want_canonical("x", x)
    d_logits = empty(logits.shape, logits.dtype) if out is None else out
    want_same_shape(logits=logits, out=d_logits)
    n_users = logits.shape[0]
    losses = empty(n_users, logits.dtype)
    share = logits.dtype.type(1 / n_users)
    _rows[blocks(n_users, 1), THREADS](logits, x.indptr, x.indices, x.data, share, d_logits, losses)
    return mean(losses), SoftmaxNLLCache(d_logits)


def softmax_nll_backward(d_loss: float, cache: SoftmaxNLLCache) -> Array:
    """Twin of `numpy_softmax_nll.softmax_nll_backward`."""
    d_logits = cache.d_logits
    if d_loss == 1:
        return d_logits
    scaled = empty(d_logits.shape, d_logits.dtype)
    factor = d_logits.dtype.type(d_loss)
    _scale[spread(scaled.size)](d_logits.ravel(), factor, scaled.ravel())
    return scaled


@kernel("matrix ints ints vector number matrix vector")
def _rows(
    logits: Array, indptr: Array, items: Array, weights: Array, share: Any, d_logits: Array, losses: Array
) -> None:
    """The gradient of a row of logits, and its loss; d_logits may be the logits themselves."""
    tops = cuda.shared.array(THREADS, logits.dtype)
    totals = cuda.shared.array(THREADS, logits.dtype)
    log_ps = cuda.shared.array(THREADS, logits.dtype)
    counts = cuda.shared.array(THREADS, logits.dtype)
    u, t, n_items, real = cuda.blockIdx.x, cuda.threadIdx.x, logits.shape[1], logits.dtype.type
    first, last = indptr[u] + t, indptr[u + 1]

    top = logits[u, 0]  # logits[u].max()
    for j in range(t, n_items, THREADS):
        top = max(top, logits[u, j])
    tops[t] = top
    cuda.syncthreads()
    for s in range(THREADS):
        top = max(top, tops[s])

    log_p, n = real(0), real(0)  # weights @ (logits[u][items] - top), weights.sum()
    for q in range(first, last, THREADS):
        log_p += weights[q] * (logits[u, items[q]] - top)
        n += weights[q]
    log_ps[t] = log_p
    counts[t] = n
    cuda.syncthreads()  # the logits of the clicks are read: they may go

    total = real(0)  # row = np.exp(logits[u] - top); total = row.sum()
    for j in range(t, n_items, THREADS):
        e = real(math.exp(logits[u, j] - top))
        d_logits[u, j] = e
        total += e
    totals[t] = total
    cuda.syncthreads()
    total, n = add_up(totals), add_up(counts)

    scale = n / total * share  # row *= n / total / n_users
    for j in range(t, n_items, THREADS):
        d_logits[u, j] *= scale
    cuda.syncthreads()
    for q in range(first, last, THREADS):  # row[items] -= weights / n_users
        d_logits[u, items[q]] -= weights[q] * share
    if t == 0:
        losses[u] = n * real(math.log(total)) - add_up(log_ps)


@kernel("vector number vector")
def _scale(x: Array, factor: Any, y: Array) -> None:  # y = factor * x
    for j in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[j] = factor * x[j]
