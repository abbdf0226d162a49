"""Because you bought: how much each click of a history speaks for an item, by the exact gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix, vstack

from minigen.recommender.base import Recommender, canonical
from minigen.recommender.combine import softmax
from minigen.typing import Array


def influence(model: Recommender, history: csr_matrix, items: Sequence[int]) -> Array:
    """x_i d log softmax(score)[j] / d x_i for each item j and each click i of `history` (1, M): (J, clicks).

    Positive where the click speaks for the item.  Only the order of scores has a meaning, so their common
    level must not: the logarithm of the softmax does not see it.   [eq:influence]
    Raises ValueError for a history of more than one row, or an item outside 0..M-1.
    """
    if history.shape[0] != 1:
        raise ValueError(f"history: want one row, got {history.shape[0]}")
    if len(items) and not 0 <= min(items) <= max(items) < history.shape[1]:
        raise ValueError(f"items: want 0 to {history.shape[1] - 1}, got {min(items)} to {max(items)}")
    history = canonical(history)
    if not len(items):
        return np.zeros((0, history.nnz), np.float32)
    copies = csr_matrix(vstack([history] * len(items)))  # one backward pass for all items
    d_scores = -np.tile(softmax(model.score(history)), (len(items), 1))
    d_scores[np.arange(len(items)), items] += 1  # d log p_j = e_j - p
    gradient = model.click_gradient(copies, d_scores)
    return gradient.data.reshape(len(items), history.nnz) * history.data


def because(
    model: Recommender, history: csr_matrix, items: Sequence[int], n: int = 3
) -> list[list[tuple[int, float]]]:
    """For each item, the at most n clicks that speak most for it: (item of the history, influence)."""
    reasons = []
    columns = canonical(history).indices
    for row in influence(model, history, items):
        best = np.argsort(-row, kind="stable")[:n]
        reasons.append([(int(columns[c]), float(row[c])) for c in best if row[c] > 0])
    return reasons
