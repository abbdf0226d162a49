"""The k best of each row, Numba twin: a thread a row, one walk past a heap of the k best so far."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigen.ops.numba_maths import fast, floats, parallel, prange
from minigen.ops.topk import numpy_topk as reference
from minigen.ops.topk.numpy_topk import NAN, want_arguments
from minigen.typing import CSR, Array

PARALLEL = 2**16  # scores from which two threads beat one
SHORT = 16  # a heap of so many beats a partition in a row of any length,
SHARE = 100  # and one of more where at most this fraction of the row is wanted


def top_k(scores: Array, k: int, seen: CSR | None = None) -> tuple[NDArray[np.intp], Array]:
    """Twin of `numpy_topk.top_k`."""
    want_arguments(scores, k, seen)
    if not floats(scores) or (k > SHORT and k * SHARE > scores.shape[1]):
        return reference.top_k(scores, k, seen)
    scores = np.ascontiguousarray(scores)
    if seen is None:
        indptr, hidden = np.zeros(len(scores) + 1, np.int32), np.empty(0, np.int32)
    else:
        seen = seen if seen.has_sorted_indices else seen.sorted_indices()
        indptr, hidden = seen.indptr, seen.indices
    items = np.empty((len(scores), k), dtype=np.intp)
    best = np.empty((len(scores), k), dtype=scores.dtype)
    valid = np.ones(len(scores), np.bool_)
    (_rows_parallel if scores.size >= PARALLEL else _rows)(scores, indptr, hidden, items, best, valid)
    if not valid.all():
        raise ValueError(NAN)
    return items, best


@fast
def _rows(scores: Array, indptr: Any, hidden: Any, items: Any, best: Array, valid: Any) -> None:
    # items = np.argsort(-scores, axis=1, kind="stable")[:, :k], without the hidden ones
    for u in range(len(scores)):
        valid[u] = _row(scores[u], hidden[indptr[u] : indptr[u + 1]], items[u], best[u])


@parallel
def _rows_parallel(scores: Array, indptr: Any, hidden: Any, items: Any, best: Array, valid: Any) -> None:
    # items = np.argsort(-scores, axis=1, kind="stable")[:, :k], without the hidden ones
    for u in prange(len(scores)):
        valid[u] = _row(scores[u], hidden[indptr[u] : indptr[u + 1]], items[u], best[u])


@fast
def _row(row: Array, hidden: Any, items: Any, best: Array) -> bool:
    """Fill `items` and `best`, best first; False where a score is NaN."""
    # row[hidden] = -np.inf; items[:] = np.argsort(-row, kind="stable")[:k]; best[:] = row[items]
    n_nan = 0
    for j in range(row.size):
        n_nan += row[j] != row[j]
    if n_nan:
        return False
    # items[:n] and best[:n] are a heap whose root 0 is the worst: the lowest score, of equals the last item.
    k, n = items.size, 0
    bar = -np.inf
    for j in range(row.size):
        # Later items lose a tie.  Most fail here; only the others are looked up among the seen ones.
        if row[j] > bar and not _holds(hidden, j):
            if n < k:
                _rise(items, best, n, j, row[j])
                n += 1
            else:
                _sink(items, best, n, j, row[j])
            if n == k:
                bar = best[0]
    for last in range(n - 1, 0, -1):  # the worst of those left goes to the end
        item, score = items[last], best[last]
        items[last], best[last] = items[0], best[0]
        _sink(items, best, last, item, score)
    items[n:] = -1
    best[n:] = -np.inf
    return True


@fast
def _holds(sorted_items: Any, item: int) -> bool:  # item in sorted_items
    low, high = 0, sorted_items.size
    while low < high:
        middle = (low + high) // 2
        if sorted_items[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < sorted_items.size and sorted_items[low] == item


@fast
def _worse(item: int, score: float, other: int, other_score: float) -> bool:
    # (score, -item) < (other_score, -other)
    return score < other_score or (score == other_score and item > other)


@fast
def _rise(items: Any, best: Array, n: int, item: int, score: float) -> None:
    """Append to a heap of n."""  # heapq.heappush(heap, (score, -item))
    at = n
    while at > 0:
        parent = (at - 1) // 2
        if not _worse(item, score, items[parent], best[parent]):
            break
        items[at], best[at] = items[parent], best[parent]
        at = parent
    items[at], best[at] = item, score


@fast
def _sink(items: Any, best: Array, n: int, item: int, score: float) -> None:
    """Replace the root of a heap of n."""  # heapq.heapreplace(heap, (score, -item))
    at = 0
    while 2 * at + 1 < n:
        child = 2 * at + 1
        if child + 1 < n and _worse(items[child + 1], best[child + 1], items[child], best[child]):
            child += 1
        if not _worse(items[child], best[child], item, score):
            break
        items[at], best[at] = items[child], best[child]
        at = child
    items[at], best[at] = item, score
