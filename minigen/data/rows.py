"""CSR rows in a folder, memory-mapped: a batch reads its own rows, so that they may exceed the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.files import writing
from minigen.ops.sparse import canonical, check_rows

_FIELDS = ("indptr", "indices", "data")
_INT32 = 2**31 - 1


def write_rows(folder: Path, blocks: Callable[[], Iterable[csr_matrix]]) -> None:
    """Write blocks of rows, one below the other, as `indptr.npy`, `indices.npy` and `data.npy` of one matrix.

    `blocks` is called twice, to count and to write, and must give the same both times: only one block need
    be in memory.  Repeated entries are summed, zeros dropped, values kept as float32.
    Raises InputError where there is no block, their widths differ, or the disk is full or read-only.
    """
    sizes = [(*block.shape, block.nnz) for block in map(canonical, blocks())]
    if len({n_columns for _, n_columns, _ in sizes}) != 1:
        raise InputError(f"{folder}: want blocks of rows over one catalogue")
    n_rows, nnz = sum(rows for rows, _, _ in sizes), sum(stored for *_, stored in sizes)
    index = np.int32 if max(nnz, sizes[0][1]) <= _INT32 else np.int64
    with writing(folder, [f"{field}.npy" for field in _FIELDS]) as beside:
        beside.mkdir()
        lengths = (n_rows + 1, index), (nnz, index), (nnz, np.float32)
        indptr, indices, data = (
            np.lib.format.open_memmap(beside / f"{field}.npy", "w+", np.dtype(kind), (length,))
            for field, (length, kind) in zip(_FIELDS, lengths)
        )
        row = at = 0
        indptr[0] = 0
        for block in map(canonical, blocks()):
            indptr[row + 1 : row + 1 + block.shape[0]] = _ends(block, at, index)
            indices[at : at + block.nnz], data[at : at + block.nnz] = block.indices, block.data
            row, at = row + block.shape[0], at + block.nnz
        if (row, at) != (n_rows, nnz):
            raise InputError(f"{folder}: the blocks were others when they came again")
        for array in (indptr, indices, data):
            array.flush()


def open_rows(folder: Path, shape: tuple[int, int]) -> csr_matrix:
    """The matrix that `write_rows` left in `folder`, its arrays on the disk: slices of rows come to memory.

    Raises InputError where files are missing, damaged or of another shape.
    """
    try:
        indptr, indices, data = (
            np.load(folder / f"{field}.npy", mmap_mode="r", allow_pickle=False) for field in _FIELDS
        )
        if data.dtype != np.float32:
            raise ValueError(f"want values of float32, got {data.dtype}")
        matrix = csr_matrix((data, indices, indptr), shape=shape)
        check_rows(matrix)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror or error}") from None
    except (ValueError, EOFError, TypeError, SyntaxError, TokenError) as error:
        raise InputError(f"the rows in {folder} are damaged: {error}") from None
    return matrix


def _ends(block: csr_matrix, at: int, index: DTypeLike) -> NDArray[np.integer]:
    """Where each row of a block ends in the whole matrix, of which `at` entries stand before it."""
    return at + block.indptr[1:].astype(index)  # int32 + int stays int32, however large the int
