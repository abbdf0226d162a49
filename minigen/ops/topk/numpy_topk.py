"""The k best of each row, NumPy reference: a partition finds the k-th, only k are sorted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minigen.ops.checks import want_same_shape, want_shape
from minigen.ops.sparse import row_of_each
from minigen.typing import CSR, Array

_BLOCK = 2**18  # scores worked on at a time: the copy, its partition and the masks stay in the cache

NAN = "scores: a score is NaN"


def top_k(scores: Array, k: int, seen: CSR | None = None) -> tuple[NDArray[np.intp], Array]:
    """The k best items of each row, best first, and their scores: items (B, k), scores (B, k).

    scores (B, M).  Of equal scores the lower item comes first, at the cut too.  Items in the pattern of
    `seen`, CSR (B, M), and items of score -inf are never returned: a row with too few others ends in
    item -1 with score -inf.
    Raises ValueError for k outside 1..M, a score that is NaN or no float, or shapes that differ.
    """
    want_arguments(scores, k, seen)
    n_rows, n_items = scores.shape
    items = np.empty((n_rows, k), dtype=np.intp)
    best = np.empty((n_rows, k), dtype=scores.dtype)
    n_block = max(1, _BLOCK // n_items)
    for start in range(0, n_rows, n_block):
        rows = slice(start, start + n_block)
        block = scores[rows].copy()
        if np.isnan(block).any():
            raise ValueError(NAN)
        if seen is not None:
            hidden = seen[rows]
            block[row_of_each(hidden), hidden.indices] = -np.inf
        items[rows], best[rows] = _top_k(block, k)
    return items, best


def want_arguments(scores: Array, k: int, seen: CSR | None) -> None:
    """Raise ValueError where the arguments of top_k do not fit."""
    want_shape("scores", scores, (None, None))
    n_items = scores.shape[1]
    if not 1 <= k <= n_items:
        raise ValueError(f"k: want 1 to {n_items}, the number of items, got {k}")
    if not np.issubdtype(scores.dtype, np.floating):
        raise ValueError(f"scores: want floats, got {scores.dtype}")
    if seen is not None:
        want_same_shape(scores=scores, seen=seen)


def _top_k(scores: Array, k: int) -> tuple[NDArray[np.intp], Array]:
    alive = np.asarray((scores > -np.inf).any(axis=0))
    alive[:k] = True
    if not alive.all():  # a partition is slow among thousands of equal scores
        columns = np.flatnonzero(alive)
        items, best = _among_finite(scores[:, alive], k)
        return np.where(items < 0, -1, columns[items]), best
    return _among_finite(scores, k)


def _among_finite(scores: Array, k: int) -> tuple[NDArray[np.intp], Array]:
    n_items = scores.shape[1]
    kth = np.partition(scores, n_items - k, axis=1)[:, n_items - k]
    rows, items = np.nonzero(scores >= kth[:, None])  # at least k a row, items ascending
    # Of the items that tie with the k-th, the first ones fill the places that better items leave.
    tied = scores[rows, items] == kth[rows]
    n_tied = np.bincount(rows, weights=tied).astype(np.intp)
    n_places = n_tied + k - np.bincount(rows)
    rank = np.cumsum(tied) - (np.cumsum(n_tied) - n_tied)[rows]  # 1 for the first tied item of a row
    items = items[~tied | (rank <= n_places[rows])].reshape(-1, k)
    best = np.take_along_axis(scores, items, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    items, best = np.take_along_axis(items, order, axis=1), np.take_along_axis(best, order, axis=1)
    items[best == -np.inf] = -1
    return items, best
