"""The LightGCN formats: text of a line a user, the saved adjacency matrix, and a folder as a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, load_npz

from minigen.data.archives import open_zip
from minigen.data.events import Events
from minigen.data.interactions import Split
from minigen.data.splits import fixed_split
from minigen.data.tables import ROW, TEXT, scan_lines, want_file
from minigen.errors import InputError
from minigen.ops.sparse import check_rows


def read_lightgcn(path: str | Path) -> Events:
    """Text of a line a user, "user item item ...", or a user-item adjacency matrix in .npz."""
    path = Path(path)
    want_file(path)
    if path.suffix == ".npz":
        rows, columns = read_adjacency(path).nonzero()
        return Events(pl.LazyFrame({"user": rows, "item": columns}).cast(pl.String), str(path))
    words = pl.col(TEXT).str.extract_all(r"\S+")
    frame = (
        scan_lines(path).sort(ROW).select(user=words.list.first(), item=words.list.slice(1)).explode("item")
    )
    return Events(frame.drop_nulls(), str(path))


def read_lightgcn_split(folder: str | Path, name: str | None = None, n_users: int | None = None) -> Split:
    """The split of a folder: train from s_adj_mat.npz where there is one, else from train.txt; test.txt.

    Ids are row and column numbers. `n_users` is needed only where the adjacency matrix leaves it open.
    Raises InputError for a folder that does not hold such a split.
    """
    folder = Path(folder)
    test = _pairs(folder / "test.txt")
    if (folder / "s_adj_mat.npz").exists():
        train = read_adjacency(folder / "s_adj_mat.npz", n_users)
        shape = train.shape
    else:
        pairs = _pairs(folder / "train.txt")
        for part, numbers in (("train", pairs), ("test", test)):
            _want_dense(folder / f"{part}.txt", int(numbers.max()), pairs.shape[1] + test.shape[1])
        top = 1 + np.maximum(pairs.max(axis=1), test.max(axis=1))
        shape = (max(int(top[0]), n_users or 0), int(top[1]))
        train = _matrix(pairs, shape)
    if (test.max(axis=1) >= shape).any():
        raise InputError(
            f"{folder}: test.txt names users or items beyond the {shape[0]} x {shape[1]} of train"
        )
    return fixed_split(train, _matrix(test, shape), name or folder.name)


def read_adjacency(path: str | Path, n_users: int | None = None) -> csr_matrix:
    """The user-item block (U, M) of a bipartite adjacency matrix (U + M, U + M), users first."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file")
    with open_zip(path):
        try:
            saved = load_npz(path)
            _want_dense(path, max(saved.shape) - 1, saved.nnz)
            if hasattr(saved, "indptr"):
                check_rows(saved)
            adjacency = csr_matrix(saved).sorted_indices()
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
            raise InputError(f"{path}: is no sparse matrix that scipy saved") from None
    # A user's neighbours all come after it, an item's before.
    number = np.arange(adjacency.shape[0])
    filled = np.diff(adjacency.indptr) > 0
    first = np.full(number.size, -1)
    first[filled] = adjacency.indices[adjacency.indptr[:-1][filled]]
    is_user = first > number
    low, high = (number[is_user].max() + 1, first[is_user].min()) if is_user.any() else (0, 0)
    if n_users is None and low != high:
        raise InputError(f"{path}: the number of users is not clear from the matrix; give n_users")
    size = int(low) if n_users is None else n_users
    block = adjacency[:size, size:].astype(np.float32)
    if 2 * block.nnz != adjacency.nnz:
        raise InputError(f"{path}: is not the adjacency matrix of {size} users and their items")
    return csr_matrix(block)


def _pairs(path: Path) -> NDArray[np.int64]:
    # Not strict: older versions of Polars panic where they would tell which text is no number.
    numbers = read_lightgcn(path).collect().select(pl.all().cast(pl.Int64, strict=False))
    if any(column.null_count() for column in numbers):
        raise InputError(f"{path}: want whole numbers, a line a user: user item item ...")
    pairs = numbers.to_numpy().T
    if pairs.size == 0 or pairs.min() < 0:
        raise InputError(f"{path}: want a line a user: user item item ..., all of at least 0")
    return pairs


def _want_dense(path: Path, largest: int, n_pairs: int) -> None:
    # Arrays are as long as the largest number. Published sets use nearly all of theirs: this is generous.
    if largest > 1_000_000 + 100 * n_pairs:
        raise InputError(f"{path}: holds number {largest} among {n_pairs} pairs; want row and column numbers")


def _matrix(pairs: NDArray[np.int64], shape: tuple[int, int]) -> csr_matrix:
    pairs = np.unique(pairs, axis=1)
    return csr_matrix((np.ones(pairs.shape[1], np.float32), tuple(pairs)), shape=shape)
