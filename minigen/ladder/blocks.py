"""Rows of blocks of columns, a block a behaviour: what was touched beside what a model says."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from minigen.ops.sparse import row_of_each
from minigen.typing import CSR, Array

_STEPS, _RIDGE, _LONGEST = 50, 1e-3, 2.0  # of Newton's method: how many, what holds it, how far at once


def blocks(x: CSR, n_blocks: int) -> CSR:
    """Rows x (B, C M) as (B C, M): each block a row of its own, the values in the same order, not copied."""
    n_rows, n_items = x.shape[0], x.shape[1] // n_blocks
    lengths = np.bincount(row_of_each(x) * n_blocks + x.indices // n_items, minlength=n_rows * n_blocks)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(x.indptr.dtype)
    return type(x)((x.data, x.indices % n_items, indptr), shape=(n_rows * n_blocks, n_items), copy=False)


def lift(scores: Array, histories: CSR, gains: Array) -> None:
    """scores[u, i] += sum_b gain_b touched_b[u, i], in place: who looked at an item may buy it.   [eq:lift]

    scores (B, M); histories CSR (B, C M), touched where positive; gains (C - 1,), none for the last block.
    """
    block, item = np.divmod(histories.indices, scores.shape[1])
    other = block < gains.size
    np.add.at(scores, (row_of_each(histories)[other], item[other]), gains[block[other]])


def lift_backward(d_scores: Array, histories: CSR, gains: Array) -> Array:
    """What `lift` adds to d_x at the clicks, (nnz,): gain_b d_scores[u, i].   [eq:lift-backward]"""
    block, item = np.divmod(histories.indices, d_scores.shape[1])
    return np.append(gains, 0).astype(d_scores.dtype)[block] * d_scores[row_of_each(histories), item]


def hide_touched(scores: Array, histories: CSR, n_items: int) -> Array:
    """Scores (B, C M) that are -inf where another behaviour of the history has the item; written in place."""
    touched = histories.tocoo()
    scores[touched.row, scores.shape[1] - n_items + touched.col % n_items] = -np.inf
    return scores


def best_gains(parts: Iterable[tuple[Array, CSR, CSR]], n_gains: int) -> Array:
    """The gains of `lift` (C - 1,) under which people's next items are most likely.   [eq:best-gains]

    Each part: scores (B, M) of a model, histories (B, C M), and target (B, C M), what the people took next.
    Minimises -sum_ui target log softmax(scores + lift)[u, i] over the items that a person lacks, and a small
    ridge: convex in the gains, by Newton's method.  Only touched items enter a step, by their probability
    p_i without gains: the others' share, 1 - sum p_i, stands still.
    """
    users, touched, share, n_taken, taken, first = [], [], [], [], np.zeros(n_gains), 0
    for scores, histories, target in parts:
        n_items = scores.shape[1]
        logits = scores.astype(np.float64)
        seen, last = histories.tocoo(), n_gains * n_items
        logits[seen.row[seen.col >= last], seen.col[seen.col >= last] - last] = -np.inf
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        by = np.zeros((n_gains, *p.shape), dtype=bool)
        other = seen.col < last
        by[seen.col[other] // n_items, seen.row[other], seen.col[other] % n_items] = True
        row, item = np.nonzero(by.any(axis=0) & (p > 0))
        users.append(row + first)
        touched.append(by[:, row, item].T.astype(float))
        share.append(p[row, item])
        want = target.tocoo()
        taken += by[:, want.row, want.col - last].sum(axis=1)
        n_taken.append(np.bincount(want.row, minlength=len(p)))
        first += len(p)
    if not users:
        return np.zeros(n_gains)
    user, t, p0, n = (np.concatenate(arrays) for arrays in (users, touched, share, n_taken))
    rest = 1 - np.bincount(user, p0, minlength=n.size)
    gains = np.zeros(n_gains)
    for _ in range(_STEPS):
        lifted = p0 * np.exp(t @ gains)
        q = lifted / (rest + np.bincount(user, lifted, minlength=n.size))[user]
        mean = np.stack([np.bincount(user, q * column, minlength=n.size) for column in t.T], axis=1)
        slope = n @ mean - taken + _RIDGE * gains
        curve = (t * (q * n[user])[:, None]).T @ t - (mean * n[:, None]).T @ mean + _RIDGE * np.eye(n_gains)
        step = np.linalg.solve(curve, -slope)
        gains += step * min(1.0, _LONGEST / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return gains
