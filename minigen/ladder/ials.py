"""Matrix factorisation for implicit feedback, a least-squares problem for a user or an item at a time."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from minigen.errors import InputError
from minigen.ops.sparse import row_of_each, row_sums, with_data
from minigen.recommender.base import Recommender, canonical
from minigen.typing import Array, Params

_BLOCK = 256  # systems of K x K solved at a time
_SPREAD = 0.1  # of a first score: a random item vector has about this length


class IALS(Recommender):
    """Implicit alternating least squares.   [eq:ials]

    min over W (U, K), H (M, K) of  sum_ui x_ui (<w_u, h_i> - 1)^2 + alpha0 sum_ui <w_u, h_i>^2
        + l2 sum_u (n_u + alpha0 M)^nu |w_u|^2 + l2 sum_i (n_i + alpha0 U)^nu |h_i|^2,
    n_u, n_i the sums of the rows and the columns of X.  A history is folded in: its w solves this for H.
    Hu, Koren & Volinsky 2008; the form of the penalty: Rendle et al. 2022, section 3.
    """

    id: ClassVar[str] = "ials"
    family: ClassVar[str] = "baseline"
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "factors": (16, 32, 64, 128),
        "l2": (0.001, 0.003, 0.01, 0.03),
        "alpha0": (0.03, 0.1, 0.3, 1.0),
    }

    def __init__(
        self,
        factors: int = 64,
        l2: float = 0.003,
        alpha0: float = 0.1,
        nu: float = 1.0,
        epochs: int = 16,
        seed: int = 0,
    ) -> None:
        for name, value, least in (("factors", factors, 1), ("epochs", epochs, 1), ("seed", seed, 0)):
            if value < least:
                raise InputError(f"{name}: want at least {least}, got {value}")
        for name, number in (("l2", l2), ("alpha0", alpha0)):
            if not 0 < number < math.inf:
                raise InputError(f"{name}: want a number above 0, got {number}")
        if not 0 <= nu < math.inf:
            raise InputError(f"nu: want a number of at least 0, got {nu}")
        self.factors, self.l2, self.alpha0, self.nu = factors, l2, alpha0, nu
        self.epochs, self.seed = epochs, seed
        self.params: Params = {}

    @property
    def n_items(self) -> int:
        """The number of items M; 0 before fit."""
        return len(self.params["items"]) if self.params else 0

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Solve in turn for the users and the items of `train` (U, M), `epochs` times."""
        rows = canonical(train)
        columns = csr_matrix(rows.T)
        rng = np.random.default_rng(self.seed)
        items = rng.standard_normal((rows.shape[1], self.factors), dtype=np.float32)
        items *= _SPREAD / math.sqrt(self.factors)
        with threadpool_limits(1, user_api="blas"):  # in systems so small a second thread only waits
            for _ in range(self.epochs):
                users = self._solve(rows, items, items.T @ items)
                items = self._solve(columns, users, users.T @ users)
        self.params = {"items": items, "gram": items.T @ items}
        return self

    def score(self, histories: csr_matrix) -> Array:
        """H w (B, M) with w the least-squares solution for each history."""
        items, gram = self.params["items"], self.params["gram"]
        return self._solve(histories, items, gram) @ items.T

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """Through the solution A w = b, at the clicks, v = A^-1 H^T d_scores:   [eq:ials-clicks]

        d_x_i = <v, h_i> (1 - <w, h_i>) - l2 nu (n + alpha0 M)^(nu - 1) <v, w>.
        """
        items, gram = self.params["items"], self.params["gram"]
        w = self._solve(histories, items, gram)
        v = _solved(self._systems(histories, items, gram), d_scores @ items)
        row, clicked = row_of_each(histories), items[histories.indices]
        slope = self.l2 * self.nu * self._mass(histories) ** (self.nu - 1)
        through_penalty = slope * np.sum(v * w, axis=1)
        along_v, along_w = (np.sum(part[row] * clicked, axis=1) for part in (v, w))
        return with_data(histories, along_v * (1 - along_w) - through_penalty[row])

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where they do not belong to these settings."""
        k = self.factors
        if arrays["items"].shape[1:] != (k,) or arrays["gram"].shape != (k, k):
            raise ValueError(f"items and gram: want {k} columns")
        super().restore(arrays)

    def _mass(self, rows: csr_matrix) -> Array:
        """n + alpha0 N of each row: the weight of all that its solution is fitted to."""
        return row_sums(rows.data, rows) + self.alpha0 * rows.shape[1]

    def _systems(self, rows: csr_matrix, f: Array, gram: Array) -> Array:
        """A = alpha0 F^T F + sum_i x_i f_i f_i^T + l2 (n + alpha0 N)^nu I of each row: (B, K, K).

        rows (B, N), f (N, K), gram = F^T F.   [eq:ials-system]
        """
        penalty = (self.l2 * self._mass(rows) ** self.nu).astype(f.dtype)
        a = self.alpha0 * gram + penalty[:, None, None] * np.eye(f.shape[1], dtype=f.dtype)
        for n, (start, end) in enumerate(zip(rows.indptr, rows.indptr[1:])):
            clicked = f[rows.indices[start:end]]
            a[n] += (rows.data[start:end, None] * clicked).T @ clicked
        return a

    def _solve(self, rows: csr_matrix, f: Array, gram: Array) -> Array:
        """A^-1 F^T x for each row x: (B, K)."""
        solutions = [np.empty((0, f.shape[1]), f.dtype)]
        for start in range(0, rows.shape[0], _BLOCK):
            part = rows[start : start + _BLOCK]
            solutions.append(_solved(self._systems(part, f, gram), part @ f))
        return np.concatenate(solutions)


def _solved(a: Array, b: Array) -> Array:
    """A^-1 b of each of the systems a (B, K, K), b (B, K)."""
    return np.linalg.solve(a, b[:, :, None])[:, :, 0]
