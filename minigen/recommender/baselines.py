"""The two baselines that every table shows: popularity, and the linear model EASE."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.ops.sparse import row_of_each, with_data
from minigen.recommender.base import Recommender, canonical, want_arrays
from minigen.typing import Array, Params

_DOUBLE = 20_000  # items to which EASE is solved in float64
_BLOCK = 1000  # rows of an item-item matrix worked on at a time


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

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where they are no count of each item."""
        want_arrays(arrays, {"count": (len(arrays["count"]),)})
        super().restore(arrays)


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
        """Solve for the item-item weights (M, M) of `train` (U, M), in place.

        Works in float64, above 20,000 items in float32: 12 or 5 M^2 bytes at the peak.  Raises InputError
        where the machine has less.
        """
        train = canonical(train)
        n_items = train.shape[1]
        dtype, bytes_each = (np.float64, 12) if n_items <= _DOUBLE else (np.float32, 5)
        want_memory(bytes_each * n_items**2, f"{self.id.upper()} on {n_items} items")
        weights = self._with_ridge(train, dtype)
        try:
            invert(weights)
        except np.linalg.LinAlgError:
            raise InputError(
                f"{self.id.upper()}: the Gram matrix plus {self.l2} I is not positive definite; raise l2"
            ) from None
        weights /= -np.diag(weights)
        np.fill_diagonal(weights, 0)
        self.params = {"weights": weights.astype(np.float32, copy=False)}
        return self

    def _with_ridge(self, train: csr_matrix, dtype: DTypeLike) -> Array:
        """X^T X + lambda I, (M, M)."""
        matrix = gram(train, dtype)
        matrix[np.diag_indices(len(matrix))] += self.l2
        return matrix

    def score(self, histories: csr_matrix) -> Array:
        """x B for each history x: (B, M)."""
        return histories @ self.params["weights"]

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d_scores B^T at the clicks.   [eq:ease-clicks]"""
        d_x = d_scores @ self.params["weights"].T
        return with_data(histories, d_x[row_of_each(histories), histories.indices])

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where they are not M x M."""
        want_arrays(arrays, {"weights": 2 * (len(arrays["weights"]),)})
        super().restore(arrays)


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))


def gram(train: csr_matrix, dtype: DTypeLike) -> Array:
    """X^T X (M, M), dense and in C order, without a sparse product of all of it; sums are in `dtype`, too."""
    train = with_data(train, train.data.astype(np.promote_types(train.dtype, dtype), copy=False))
    columns = train.tocsc()
    product = np.empty((train.shape[1], train.shape[1]), dtype)
    for part in _blocks(len(product)):
        product[part] = (columns[:, part].T @ train).toarray()
    return product


def invert(matrix: Array) -> None:
    """Put the inverse of a symmetric positive definite matrix (M, M) in its place.   [eq:sweep]

    A block of rows K at a time, R the others:  D = A_KK^-1,  A_RR -= A_RK D A_KR,  A_KR = D A_KR,  A_KK = -D,
    which leaves -A^-1 when all are done: M^3 operations, nearly all of them in products of matrices.
    Raises LinAlgError where the matrix is not positive definite.  Beaton 1964.
    """
    n = len(matrix)
    for part in _blocks(n):  # only the upper half is worked on; A_KR is part column, part row of it
        across = np.hstack([matrix[: part.start, part].T, matrix[part, part.start :]])
        inner = np.linalg.inv(np.linalg.cholesky(across[:, part]))
        inner = inner.T @ inner
        scaled = inner @ across
        for rows in _blocks(n):
            matrix[rows, rows.start :] -= across[:, rows].T @ scaled[:, rows.start :]
        matrix[: part.start, part] = scaled[:, : part.start].T
        matrix[part, part.start :] = scaled[:, part.start :]
        matrix[part, part] = -inner
    np.negative(matrix, out=matrix)
    for part in _blocks(n):
        matrix[part.stop :, part] = matrix[part, part.stop :].T
        square = np.triu(matrix[part, part])
        matrix[part, part] = square + np.triu(square, 1).T


def want_memory(n_bytes: int, what: str) -> None:
    """Raise InputError where the machine has fewer bytes than `what` needs."""
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
