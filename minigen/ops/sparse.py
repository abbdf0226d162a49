"""CSR rows as the operations see them: values, and a pattern that they keep."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.typing import CSR, Array


class Lines(NamedTuple):
    """A gradient that is `values` in the rows (axis 0) or columns (axis 1) `where`, ascending, and else 0."""

    where: NDArray[np.integer]
    values: Array
    axis: int = 0

    def whole(self, shape: tuple[int, ...]) -> Array:
        """The gradient with its zeros."""
        whole = np.zeros(shape, self.values.dtype)
        whole[(slice(None), self.where) if self.axis else self.where] = self.values
        return whole


def check_rows(x: Any) -> None:
    """Raise ValueError where compiled code would leave the arrays of a matrix from a file, in CSR or CSC.

    SciPy's own full check looks at nothing of a matrix whose last row ends at 0.
    """
    if np.any(x.indptr[1:] < x.indptr[:-1]):  # a difference of two int32 may come round to above 0
        raise ValueError("rows end before they begin")
    x.check_format(full_check=True)


def canonical(rows: Any) -> CSR:
    """The rows (B, M) as CSR in float32, every column at most once: repeats are summed, zeros dropped."""
    from scipy.sparse import csr_matrix

    # CSC has a canonical format, too: taken for CSR its items would be people.
    if rows.format == "csr" and rows.dtype == np.float32 and rows.has_canonical_format and rows.data.all():
        return rows  # nobody writes into it
    rows = csr_matrix(rows, dtype=np.float32, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def with_data(x: CSR, data: Array) -> CSR:
    """A CSR matrix of the pattern of x (shared, not copied) that holds `data` (nnz,)."""
    return type(x)((data, x.indices, x.indptr), shape=x.shape, copy=False)


def row_of_each(x: CSR) -> NDArray[np.intp]:
    """The row of each non-zero of x, (nnz,)."""
    return np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))


def rank_in_row(x: CSR, keys: Array) -> NDArray[np.int64]:
    """The place (nnz,), from 0, of each non-zero of x in its row, ordered by `keys` (nnz,)."""
    rows = row_of_each(x)
    order = np.lexsort((keys, rows))
    rank = np.empty(x.nnz, np.int64)
    rank[order] = np.arange(x.nnz) - x.indptr[rows]
    return rank


def row_sums(values: Array, x: CSR) -> Array:
    """Sums of `values` (nnz,) by the rows of x, (B,); zero for an empty row."""
    # bincount adds in float64, in order: the sum of a long history does not depend on its batch.
    return np.bincount(row_of_each(x), weights=values, minlength=x.shape[0]).astype(values.dtype)
