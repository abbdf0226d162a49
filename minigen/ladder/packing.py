"""A sparse matrix among a model's arrays: the three of CSR, by their names."""

from __future__ import annotations

from scipy.sparse import csr_matrix

from minigen.typing import Params


def pack(matrix: csr_matrix) -> Params:
    """The arrays indptr, indices and data of a CSR matrix."""
    return {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data}


def unpack(arrays: Params, n_columns: int) -> csr_matrix:
    """The CSR matrix of `n_columns` that `pack` took apart; nothing is copied.

    Raises ValueError where there are entries after the last row, which SciPy would drop.
    """
    if arrays["indptr"][-1:].tolist() != [len(arrays["indices"])]:
        raise ValueError("indptr: want it to end where indices does")
    shape = (len(arrays["indptr"]) - 1, n_columns)
    return csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape, copy=False)
