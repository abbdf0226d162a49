"""Variety in a list: maximal marginal relevance, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, issparse

from minigen.typing import Array

Vectors = Array | csr_matrix  # unit rows (M, D), one an item


def unit_rows(vectors: Vectors) -> Vectors:
    """Rows (M, D) at length 1; a row of zeros stays."""
    if issparse(vectors):
        length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        return csr_matrix(diags(1 / np.where(length > 0, length, 1)) @ vectors)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


def cosines(vectors: Vectors, items: NDArray[np.integer]) -> Array:
    """Cosines (K, K) between `items` (K,), of unit rows."""
    rows: Any = vectors[items]
    found = rows @ rows.T
    return found if isinstance(vectors, np.ndarray) else found.toarray()


def intra_list_distance(ranked: NDArray[np.integer], vectors: Vectors) -> NDArray[np.float64]:
    """Mean over the pairs of a list of 1 - cos(v_i, v_j), (N,).   [eq:intra-list-distance]

    ranked (N, K), -1 where there is none; 0 for a list of fewer than two items.
    Ziegler et al. 2005, section 3.3, as a distance.
    """
    distance = np.zeros(len(ranked))
    for row, items in enumerate(ranked):
        items = items[items >= 0]
        if (n := items.size) > 1:
            cos = cosines(vectors, items)
            distance[row] = 1 - (cos.sum() - np.trace(cos)) / (n * (n - 1))
    return distance


def pool_cosines(items: NDArray[np.integer], vectors: Vectors) -> list[Array]:
    """`cosines` of each row of candidates (B, P), without the places that are -1."""
    return [cosines(vectors, pool[pool >= 0]) for pool in items]


def rerank(
    items: NDArray[np.integer], scores: Array, cos: Sequence[Array], weight: float, k: int
) -> tuple[NDArray[np.intp], Array]:
    """Choose k of each row of candidates one after the other by maximal marginal relevance.   [eq:mmr]

    next = argmax_i (1 - w) rel_i - w max_{j chosen} cos(v_i, v_j),

    rel the scores of the row moved to [0, 1], cos those of `pool_cosines`; w = 0 leaves the order.
    items, scores (B, P), best first, -1 with -inf where there is none  ->  items and scores, each (B, k).
    Raises ValueError for w outside [0, 1] or k above P.  Carbonell & Goldstein 1998.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight: want a number between 0 and 1, got {weight}")
    if not 1 <= k <= items.shape[1]:
        raise ValueError(f"k: want 1 to {items.shape[1]}, the number of candidates, got {k}")
    chosen = np.full((len(items), k), -1, dtype=np.intp)
    best = np.full((len(items), k), -np.inf, dtype=scores.dtype)
    for row, (pool, score, near) in enumerate(zip(items, scores, cos)):
        picks = _picks(score[pool >= 0], near, weight, k)
        chosen[row, : len(picks)], best[row, : len(picks)] = pool[picks], score[picks]
    return chosen, best


def _picks(scores: Array, cos: Array, weight: float, k: int) -> list[int]:
    """Places of the pool in the order in which they are chosen."""
    span = np.ptp(scores) if scores.size else 0
    gain = (1 - weight) * ((scores - scores.min()) / span if span else np.ones_like(scores))
    nearest = np.zeros_like(gain)  # the first is chosen by its relevance alone
    picks: list[int] = []
    while len(picks) < min(k, scores.size):
        place = int(np.argmax(gain - weight * nearest))
        nearest = cos[place] if not picks else np.maximum(nearest, cos[place])
        gain[place] = -np.inf
        picks.append(place)
    return picks
