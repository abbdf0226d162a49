"""Nearest neighbours among items: what is often had together with the history."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix, vstack

from minigen.errors import InputError
from minigen.ladder.packing import pack, unpack
from minigen.ops.sparse import check_rows, row_of_each, row_sums, with_data
from minigen.recommender.base import Recommender, canonical
from minigen.typing import Array, Params

_BLOCK = 1000  # items whose similarities are held at a time


class ItemKNN(Recommender):
    """Items like those of the history, by the cosine with shrinkage.   [eq:itemknn]

    score_j = sum over i in N(j) of x_i s_ij,   s_ij = <c_i, c_j> / (|c_i| |c_j| + shrink),
    c_i the column of item i, N(j) the at most `neighbours` items other than j of largest s_ij > 0.
    Deshpande & Karypis 2004, section 4; the shrinkage as in Ferrari Dacrema et al. 2021.
    """

    id: ClassVar[str] = "itemknn"
    family: ClassVar[str] = "baseline"
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "neighbours": (20, 50, 100, 200, 400),
        "shrink": (0.0, 10.0, 30.0, 100.0),
    }

    def __init__(self, neighbours: int = 100, shrink: float = 10.0) -> None:
        if neighbours < 1:
            raise InputError(f"neighbours: want at least 1, got {neighbours}")
        if not 0 <= shrink < math.inf:
            raise InputError(f"shrink: want a number of at least 0, got {shrink}")
        self.neighbours, self.shrink = neighbours, shrink
        self.params: Params = {}

    @property
    def n_items(self) -> int:
        """The number of items M; 0 before fit."""
        return len(self.params["indptr"]) - 1 if self.params else 0

    @property
    def weights(self) -> csr_matrix:
        """The weights (M, M): row i holds s_ij for every item j that has i among its neighbours."""
        return unpack(self.params, self.n_items)

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Find the neighbours of each item of `train` (U, M)."""
        train = canonical(train)
        columns = csr_matrix(train.T)
        columns = with_data(columns, columns.data.astype(np.float64))  # so that sums are, too
        norm = np.sqrt(row_sums(columns.data**2, columns).astype(np.float32))
        parts = [
            self._nearest(csr_matrix(columns[start : start + _BLOCK] @ train, dtype=np.float32), norm, start)
            for start in range(0, train.shape[1], _BLOCK)
        ]
        self.params = pack(csr_matrix(vstack(parts).T))
        return self

    def _nearest(self, products: csr_matrix, norm: Array, start: int) -> csr_matrix:
        """The similarities that are kept, of the <c_i, c_j> of the items from `start` on with all others."""
        row, column = row_of_each(products), products.indices
        similar = products.data / (norm[start + row] * norm[column] + np.float32(self.shrink))
        similar[column == start + row] = 0
        order = np.lexsort((column, -similar, row))  # best first in each row, of equal ones the lower item
        rank = np.arange(row.size) - products.indptr[row]
        kept = order[(rank < self.neighbours) & (similar[order] > 0)]
        return csr_matrix((similar[kept], (row[kept], column[kept])), shape=products.shape)

    def score(self, histories: csr_matrix) -> Array:
        """x S for each history x: (B, M)."""
        return (histories @ self.weights).toarray()

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d_scores S^T at the clicks.   [eq:itemknn-clicks]"""
        d_x = d_scores @ self.weights.T
        return with_data(histories, d_x[row_of_each(histories), histories.indices])

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where they are no square matrix of weights."""
        check_rows(unpack(arrays, len(arrays["indptr"]) - 1))
        super().restore(arrays)
