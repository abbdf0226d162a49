"""A linear path of low rank: smooth the history over the graph of users and items."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.ladder.packing import pack, unpack
from minigen.ops.sparse import check_rows, row_of_each, row_sums, with_data
from minigen.recommender.base import Recommender, canonical
from minigen.typing import Array, Params


class Spectral(Recommender):
    """The ideal low-pass filter of the graph, and beside it two steps along its edges.   [eq:spectral]

    score = x (D^-1/2 V V^T D^1/2 + gram N^T N),   N = D_u^-1/2 X D^-1/2,
    D_u, D the sums of the rows and the columns of X as diagonal matrices, V (M, K) the right singular
    vectors of N to its `factors` = K largest singular values.  An item without users scores 0.
    Shen et al. 2021 (GF-CF), whose alpha is 1 / gram.
    """

    id: ClassVar[str] = "spectral"
    family: ClassVar[str] = "baseline"
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "factors": (16, 32, 64, 128, 256),
        "gram": (0.0, 1.0, 3.0, 10.0),
    }

    def __init__(self, factors: int = 32, gram: float = 3.0) -> None:
        if factors < 1:
            raise InputError(f"factors: want at least 1, got {factors}")
        if not 0 <= gram < math.inf:
            raise InputError(f"gram: want a number of at least 0, got {gram}")
        self.factors, self.gram = factors, gram
        self.params: Params = {}

    @property
    def n_items(self) -> int:
        """The number of items M; 0 before fit."""
        return len(self.params["degree"]) if self.params else 0

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Find the singular vectors of `train` (U, M), the same at every call.

        Raises InputError where `factors` is above the rank of `train`.
        """
        train = canonical(train)
        degree = np.bincount(train.indices, weights=train.data, minlength=train.shape[1])
        of_users = row_sums(train.data.astype(np.float64), train)
        edges = train.data / np.sqrt(of_users[row_of_each(train)] * degree[train.indices])
        normal = with_data(train, edges)
        vectors = right_singular_vectors(normal, self.factors)
        self.params = {"vectors": vectors.astype(np.float32), "degree": degree.astype(np.float32)}
        if self.gram:
            self.params |= pack(normal.astype(np.float32))
        return self

    def score(self, histories: csr_matrix) -> Array:
        """The filtered histories (B, M)."""
        vectors, (down, up) = self.params["vectors"], self._scales()
        scores = with_data(histories, histories.data * down[histories.indices]) @ vectors @ vectors.T
        scores *= up
        if self.gram:
            normal = self._normal()
            smooth = (histories @ normal.T @ normal).toarray()
            smooth *= self.gram
            scores += smooth
        return scores

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d_scores (D^1/2 V V^T D^-1/2 + gram N^T N) at the clicks.   [eq:spectral-clicks]"""
        vectors, (down, up) = self.params["vectors"], self._scales()
        d_x = (d_scores * up) @ vectors @ vectors.T * down
        if self.gram:
            normal = self._normal()
            d_x += self.gram * (d_scores @ normal.T @ normal)
        return with_data(histories, d_x[row_of_each(histories), histories.indices])

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where they do not belong to these settings."""
        wanted = (len(arrays["degree"]), self.factors)
        if arrays["vectors"].shape != wanted or arrays["degree"].shape != wanted[:1]:
            raise ValueError(f"vectors and degree: want shapes {wanted} and {wanted[:1]}")
        if self.gram:
            check_rows(unpack(arrays, wanted[0]))
        super().restore(arrays)

    def _scales(self) -> tuple[Array, Array]:
        """D^-1/2 and D^1/2, each (M,); 0 for an item without users."""
        up = np.sqrt(self.params["degree"])
        return np.divide(1, up, out=np.zeros_like(up), where=up > 0), up

    def _normal(self) -> csr_matrix:
        return unpack(self.params, self.n_items)


def right_singular_vectors(matrix: csr_matrix, k: int) -> Array:
    """The right singular vectors (columns, k) of a float64 matrix to its k largest singular values.

    Raises InputError where its rank is below k.
    """
    from scipy.sparse.linalg import svds

    n = min(matrix.shape)
    if k > n:
        raise InputError(
            f"factors is {k}: want at most {n}, for {matrix.shape[0]} users, {matrix.shape[1]} items"
        )
    if 3 * k < n:
        start = np.random.default_rng(0).standard_normal(n)
        _, values, rows = svds(matrix, k, v0=start)
        vectors: Array = rows.T
    else:  # the iteration would span nearly the whole space: a small matrix, or nearly all of its vectors
        values, vectors = _by_gram(matrix, k)
    rank = int(np.sum(values > 1e-6 * values.max()))
    if rank < k:
        raise InputError(f"factors is {k}: want at most {rank}, the rank of the matrix of users and items")
    return vectors


def _by_gram(matrix: csr_matrix, k: int) -> tuple[Array, Array]:
    """The k largest singular values and their right vectors, from the product over the longer side."""
    from scipy.linalg import eigh

    wide = matrix.shape[0] < matrix.shape[1]
    product = (matrix @ matrix.T if wide else matrix.T @ matrix).toarray()
    squares, vectors = eigh(product, subset_by_index=(len(product) - k, len(product) - 1))
    values = np.sqrt(np.maximum(squares, 0))
    if wide:
        vectors = matrix.T @ vectors / np.maximum(values, np.finfo(float).tiny)
    return values, vectors
