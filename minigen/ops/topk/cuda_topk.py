"""The k best of each row, CUDA twin: a block a row, which walks past it once for every place."""

from __future__ import annotations

import math

import numpy as np
from numba import cuda

from minigen.ops.cuda_arrays import empty, get, zeros
from minigen.ops.cuda_kernels import THREADS, blocks, find, kernel
from minigen.ops.topk.numpy_topk import NAN, want_arguments
from minigen.typing import CSR, Array


def top_k(scores: Array, k: int, seen: CSR | None = None) -> tuple[Array, Array]:
    """Twin of `numpy_topk.top_k`; reads one flag a row back, whether a score is NaN."""
    want_arguments(scores, k, seen)
    n_rows = scores.shape[0]
    none = zeros(n_rows + 1, np.int32)
    indptr, hidden = (none, none) if seen is None else (seen.indptr, seen.indices)
    items, best = empty((n_rows, k), np.int64), empty((n_rows, k), scores.dtype)
    is_nan = zeros(n_rows, np.int32)
    _rows[blocks(n_rows, 1), THREADS](scores, indptr, hidden, items, best, is_nan)
    if get(is_nan).any():
        raise ValueError(NAN)
    return items, best


@kernel("matrix ints ints places matrix ints")
def _rows(scores: Array, indptr: Array, hidden: Array, items: Array, best: Array, is_nan: Array) -> None:
    """For each place, the best of those that come after the one before: a lower score, or a later item."""
    slot_item = cuda.shared.array(THREADS, np.int64)
    slot_score = cuda.shared.array(THREADS, scores.dtype)
    u, t = cuda.blockIdx.x, cuda.threadIdx.x
    if u >= scores.shape[0]:
        return
    lowest = scores.dtype.type(-math.inf)
    bar, bar_item = -lowest, -1
    for place in range(items.shape[1]):
        item, score = -1, lowest
        for j in range(t, scores.shape[1], THREADS):
            s = scores[u, j]
            if s != s:
                is_nan[u] = 1
            # Items ascend, so that a tie stays with the earlier one; few get as far as the search.
            below = s < bar or (s == bar and j > bar_item)
            if below and s > score and find(hidden, indptr[u], indptr[u + 1], j) < 0:
                item, score = j, s
        slot_item[t] = item
        slot_score[t] = score
        cuda.syncthreads()
        for other in range(THREADS):
            s = slot_score[other]
            if s > score or (s == score and slot_item[other] < item):
                item, score = slot_item[other], s
        if t == 0:
            items[u, place] = item
            best[u, place] = score
        bar, bar_item = score, item
        cuda.syncthreads()  # nobody fills the slots again while another still reads
