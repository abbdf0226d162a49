"""The two baselines that every table shows: popularity, and the linear model EASE."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.ops.sparse import row_of_each, with_data
from minigen.recommender.base import Recommender, canonical
from minigen.typing import Array, Params


class Popularity(Recommender):
    """Everybody gets what most people have: score of an item = number of its users."""

    id: ClassVar[str] = "popularity"
    family: ClassVar[str] = "baseline"

    def __init__(self) -> None:
        self.params: Params = {}

    @property
    def n_items(self) -> int:
        """The number of items M; 0 before fit."""
        return len(self.params["count"]) if self.params else 0

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Count the users of each item of `train` (U, M)."""
        train = canonical(train)
        self.params = {"count": np.bincount(train.indices, minlength=train.shape[1]).astype(np.float32)}
        return self

    def score(self, histories: csr_matrix) -> Array:
        """The same counts (B, M) for every history, whatever is in it."""
        return np.tile(self.params["count"], (histories.shape[0], 1))

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """Zero: no click changes what everybody gets."""
        return with_data(histories, np.zeros(histories.nnz, np.float32))


class EASE(Recommender):
    """The linear autoencoder with a zero diagonal, in closed form.   [eq:ease]

    min_B |X - X B|^2 + lambda |B|^2 with diag B = 0  has  B = I - P / diag(P),  P = (X^T X + lambda I)^-1.
    `l2` is lambda, above 0.  Steck 2019, eq. 8.
    """

    id: ClassVar[str] = "ease"
    family: ClassVar[str] = "baseline"
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "l2": (20.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0, 2000.0)
    }

    def __init__(self, l2: float = 100.0) -> None:
        if not l2 > 0:
            raise InputError(f"l2: want a number above 0, got {l2}")
        self.l2 = l2
        self.params: Params = {}

    @property
    def n_items(self) -> int:
        """The number of items M; 0 before fit."""
        return len(self.params["weights"]) if self.params else 0

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Solve for the item-item weights (M, M) of `train` (U, M).

        Works in float64: 16 M^2 bytes at the peak.  Raises InputError where the machine has less.
        """
        from scipy.linalg import lapack

        train = canonical(train)
        n_items = train.shape[1]
        _want_memory(16 * n_items**2, f"EASE on {n_items} items")
        gram = (train.T @ train).astype(np.float64).toarray(order="F")
        gram[np.diag_indices(n_items)] += self.l2
        factor, info = lapack.dpotrf(gram, lower=True, overwrite_a=True)
        if info == 0:
            inverse, info = lapack.dpotri(factor, lower=True, overwrite_c=True)
        if info != 0:
            raise InputError(f"EASE: the Gram matrix plus {self.l2} I is not positive definite; raise l2")
        inverse = np.tril(inverse)  # LAPACK leaves the other half as it was
        inverse += np.tril(inverse, -1).T
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        self.params = {"weights": weights.astype(np.float32)}
        return self

    def score(self, histories: csr_matrix) -> Array:
        """x B for each history x: (B, M)."""
        return histories @ self.params["weights"]

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d_scores B^T at the clicks.   [eq:ease-clicks]"""
        d_x = d_scores @ self.params["weights"].T
        return with_data(histories, d_x[row_of_each(histories), histories.indices])


def _want_memory(n_bytes: int, what: str) -> None:
    available = _available_memory()
    if available is not None and n_bytes > available:
        raise InputError(
            f"{what} needs {n_bytes / 2**30:.1f} GiB of memory, {available / 2**30:.1f} GiB are free; "
            "raise the k-core to drop rare items, or train mult-vae, or linear-vae with path=spectral"
        )


def _available_memory() -> int | None:
    """Bytes that a process can have, what the system caches included; None where it does not say."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
