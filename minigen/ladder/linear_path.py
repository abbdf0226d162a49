"""Linear models as a path beside a decoder: what each says of a person whom it has not been fitted on."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_matrix

from minigen.ladder.spectral import Spectral
from minigen.ops.checks import want_same_shape
from minigen.ops.sparse import row_of_each, row_sums
from minigen.recommender.base import canonical, want_arrays
from minigen.recommender.baselines import EASE
from minigen.typing import Array

_BLOCK = 1000  # users whose scores are held at a time


class EASEPath(EASE):
    """EASE that can take a user back out of what it was fitted on."""

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Solve as EASE does, and keep the diagonal of P:  1 / P_jj = lambda + <x_j, (X - X B)_j>."""
        super().fit(train)
        rows = canonical(train)
        inverse = np.full(rows.shape[1], self.l2)
        for start in range(0, rows.shape[0], _BLOCK):
            part = rows[start : start + _BLOCK]
            at = self._residuals(part)[row_of_each(part), part.indices]
            inverse += np.bincount(part.indices, part.data * at, minlength=inverse.size)
        self.params["diagonal"] = (1 / inverse).astype(np.float32)
        return self

    def leave_out(self, rows: csr_matrix) -> Array:
        """Scores (B, M) of users of the training set, each by EASE on all the others.   [eq:ease-leave-out]

        x - r / (1 - <x, q> + r q),   r = x - x B,   q = r diag P: the inverse changes by rank one.
        Sherman & Morrison 1950.
        """
        r = self._residuals(rows)
        q = r * self.params["diagonal"]
        known = row_sums(rows.data * q[row_of_each(rows), rows.indices], rows)
        scores = -r / (1 - known[:, None] + r * q)
        scores[row_of_each(rows), rows.indices] += rows.data
        return scores

    def restore(self, arrays: dict[str, Array]) -> None:
        """Take over learnt arrays; raises ValueError where they are not M x M and M."""
        n = len(arrays["weights"])
        want_arrays(arrays, {"weights": (n, n), "diagonal": (n,)})
        self.params = arrays

    def _residuals(self, rows: csr_matrix) -> Array:
        r = -self.score(rows)
        r[row_of_each(rows), rows.indices] += rows.data
        return r


class SpectralPath(Spectral):
    """The spectral filter without what a user's own row and an item's own column say of them."""

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Find the singular vectors, and keep the diagonal of the filter."""
        super().fit(train)
        diagonal = np.sum(self.params["vectors"] ** 2, axis=1)
        if self.gram:
            normal = self._normal()
            own = np.bincount(normal.indices, normal.data**2, minlength=self.n_items)
            diagonal += np.float32(self.gram) * own.astype(np.float32)
        self.params["diagonal"] = diagonal
        return self

    def leave_out(self, rows: csr_matrix) -> Array:
        """Scores (B, M) of users of the training set without themselves.   [eq:spectral-leave-out]

        Out of the gram term goes the user's row, and out of both terms an item's own diagonal.  What the
        singular vectors have seen of the user stays: it is one row of many in K directions.
        """
        scores = self.score(rows)
        user, x = row_of_each(rows), rows.data
        own = self.params["diagonal"][rows.indices] * x
        if self.gram:
            n = x / np.sqrt(row_sums(x, rows)[user] * self.params["degree"][rows.indices])
            # The diagonal has the user's own square already: it must not go out twice.
            own += np.float32(self.gram) * (n * row_sums(n * x, rows)[user] - n * n * x)
        scores[user, rows.indices] -= own
        return scores

    def restore(self, arrays: dict[str, Array]) -> None:
        """Take over learnt arrays; raises ValueError where they do not belong to these settings."""
        if arrays["diagonal"].shape != arrays["degree"].shape:
            raise ValueError("diagonal: want one number an item")
        super().restore(arrays)


class LogSharesCache(NamedTuple):
    """The scores where they are above 0, else 0, (B, M), and their mean over items (B, 1)."""

    positive: Array
    mean: Array


def log_shares_forward(scores: Array) -> tuple[Array, LogSharesCache]:
    """log(1 + s / mean s) of scores (B, M), s = max(score, 0).   [eq:log-shares]

    Up to a constant of the row this is the logarithm of a distribution: half of it the scores as shares, half
    the same for every item.  So a path joins a softmax in its own unit, however large its scores.
    """
    positive = np.maximum(scores, 0)
    mean = positive.mean(axis=1, keepdims=True)
    mean[mean == 0] = 1  # a row without a score above 0 says nothing
    return np.log1p(positive / mean), LogSharesCache(positive, mean)


def log_shares_backward(d_y: Array, cache: LogSharesCache) -> Array:
    """d_score = [score > 0] (g - mean(g s) / mean s),  g = d_y / (mean s + s).   [eq:log-shares-backward]"""
    positive, mean = cache
    want_same_shape(scores=positive, d_y=d_y)
    g = d_y / (mean + positive)
    through_mean = (g * positive).mean(axis=1, keepdims=True) / mean
    return np.where(positive > 0, g - through_mean, 0)
