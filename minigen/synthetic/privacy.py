"""Whom synthetic users give away: nearest real neighbours, and an attack that guesses who was trained on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from minigen.typing import Array

_BLOCK = 1000


class Attack(NamedTuple):
    """How well an attack tells members from others: area under its curve, and its standard error."""

    auc: float
    se: float


def nearest(a: csr_matrix, b: csr_matrix) -> Array:
    """The largest likeness of each row of `a` with a row of `b`, (N,).   [eq:jaccard]

    Jaccard's: the items that both have, over those that either has.
    """
    one, other = (csr_matrix((np.ones(x.nnz), x.indices, x.indptr), shape=x.shape) for x in (a, b))
    sizes = np.diff(other.indptr)
    best = np.zeros(a.shape[0])
    for start in range(0, a.shape[0], _BLOCK):
        rows = one[start : start + _BLOCK]
        both = (rows @ other.T).toarray()
        union = np.diff(rows.indptr)[:, None] + sizes - both
        best[start : start + _BLOCK] = (both / np.maximum(union, 1)).max(axis=1)
    return best


def membership(members: Array, others: Array) -> Attack:
    """P(a member's score > another's) + P(equal) / 2: .5 where the attack knows nothing.   [eq:auc]

    members, others: scores, higher for those that the attack takes for members.  The standard error is that
    of Hanley & McNeil 1982, eq. 2.
    """
    n, m = members.size, others.size
    below, up_to = (np.searchsorted(np.sort(others), members, side=side) for side in ("left", "right"))
    auc = float((below + up_to).sum() / (2 * n * m))
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (n - 1) * (q1 - auc**2) + (m - 1) * (q2 - auc**2)) / (n * m)
    return Attack(auc, math.sqrt(max(variance, 0.0)))
