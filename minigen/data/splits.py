"""Splits: what a model trains on, what chooses it, and what it is measured on.

Strong generalisation holds whole users out; weak holds some items of every user out; time looks ahead.
Every split is a function of its seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.data.by_time import rebuy_split, time_split
from minigen.data.interactions import HeldOut, Interactions, Split
from minigen.errors import InputError
from minigen.ops.sparse import canonical, rank_in_row, row_of_each, with_data

__all__ = ["fixed_split", "rebuy_split", "strong_split", "time_split", "validation_cut", "weak_split"]


def strong_split(
    interactions: Interactions,
    n_validation: int,
    n_test: int,
    seed: int,
    fold_in: float = 0.8,
    binary: bool = True,
    name: str = "strong",
) -> Split:
    """Hold whole users out: `fold_in` of their items are shown, the rest must be found, at least one of each.

    Only users of two items or more are drawn. Items that no training user has are dropped, and so is a
    held-out user whom that leaves with fewer than two.   Liang et al. 2018, section 4.
    """
    matrix = _counts(interactions.matrix, binary)
    sizes = np.diff(matrix.indptr)
    eligible = np.flatnonzero(sizes >= 2)
    if min(n_validation, n_test) < 1 or not 0 < fold_in < 1:
        raise InputError(
            "strong split: want n_validation and n_test of at least 1, and fold_in between 0 and 1"
        )
    if n_validation + n_test >= matrix.shape[0] or n_validation + n_test > eligible.size:
        raise InputError(
            f"strong split: {n_validation} + {n_test} held-out users are too many of {matrix.shape[0]}, "
            f"{eligible.size} of them with two items or more"
        )
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(eligible)[: n_validation + n_test]
    validation_rows, test_rows = np.sort(drawn[:n_validation]), np.sort(drawn[n_validation:])
    train_rows = np.setdiff1d(np.arange(matrix.shape[0]), drawn)
    train = matrix[train_rows]
    kept = np.flatnonzero(np.bincount(train.indices, minlength=matrix.shape[1]))
    items = [interactions.items[column] for column in kept]

    def held(rows: NDArray[np.int64]) -> HeldOut:
        part = matrix[rows][:, kept]
        alive = np.flatnonzero(np.diff(part.indptr) >= 2)
        if alive.size == 0:
            raise InputError("strong split: no held-out user has two items that training users have too")
        part = part[alive]
        n_target = held_out_counts(np.diff(part.indptr), 1 - fold_in)
        shown, target = _cut(part, n_target, rng.random(part.nnz))
        return HeldOut(shown, target, [interactions.users[row] for row in rows[alive]])

    users = [interactions.users[row] for row in train_rows]
    names = {item: interactions.item_names[item] for item in items if item in interactions.item_names}
    return Split(name, train[:, kept], users, items, held(validation_rows), held(test_rows), names)


def weak_split(
    interactions: Interactions,
    share: float = 0.2,
    seed: int = 0,
    validation_share: float = 0.1,
    binary: bool = True,
    name: str = "weak",
) -> Split:
    """Hold `share` of every user's items out for the test, then `validation_share` of what is left.

    A user of a single item stays in training whole. The test shows what is left before the validation cut.
    """
    matrix = _counts(interactions.matrix, binary)
    rest, test = validation_cut(matrix, share, seed, interactions.users)
    train, validation = validation_cut(rest, validation_share, seed + 1, interactions.users)
    return Split(
        name, train, interactions.users, interactions.items, validation, test, interactions.item_names
    )


def validation_cut(
    train: csr_matrix, share: float, seed: int, users: Sequence[str] | None = None
) -> tuple[csr_matrix, HeldOut]:
    """Carve `share` of each row's items out of a train matrix: (what is left, the users measured on it).

    A row of n items gives floor(share n), at least 1 and at most n - 1; a row of one item gives none.
    """
    if not 0 < share < 1:
        raise InputError(f"share: want a number between 0 and 1, got {share}")
    keys = np.random.default_rng(seed).random(train.nnz)
    rest, target = _cut(train, held_out_counts(np.diff(train.indptr), share), keys)
    return rest, _measured(rest, target, users)


def fixed_split(
    train: csr_matrix,
    test: csr_matrix,
    name: str,
    users: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    item_names: dict[str, str] | None = None,
) -> Split:
    """A published split of one set of users: the train rows are the fold-in, test (same shape) the target.

    Ids default to row and column numbers. Raises InputError where the shapes differ or a pair is in both.
    """
    if train.shape != test.shape:
        raise InputError(f"{name}: train is {train.shape} and test is {test.shape}")
    train, test = _counts(train, binary=False), _counts(test, binary=False)
    if shared := train.multiply(test != 0).nnz:
        raise InputError(f"{name}: {shared} pairs are in train and in test")
    ids = [str(row) for row in range(train.shape[0])] if users is None else list(users)
    columns = [str(column) for column in range(train.shape[1])] if items is None else list(items)
    return Split(name, train, ids, columns, None, _measured(train, test, ids), item_names or {})


def held_out_counts(sizes: NDArray[np.integer], share: float) -> NDArray[np.int64]:
    """How many of n items are held out: floor(share n), at least 1, at most n - 1."""
    # 5 * (1 - 0.8) is 0.99999...: the floor is meant for the number that was written.
    wanted = np.floor(sizes * share + 1e-9).astype(np.int64)
    return np.minimum(np.maximum(wanted, 1), np.maximum(sizes - 1, 0))


def _cut(
    matrix: csr_matrix, n_target: NDArray[np.int64], keys: NDArray[np.floating]
) -> tuple[csr_matrix, csr_matrix]:
    """Take from each row the `n_target` entries of the smallest keys: (the rest, the taken)."""
    rows = row_of_each(matrix)
    taken = rank_in_row(matrix, keys) < n_target[rows]
    return _part(matrix, rows, ~taken), _part(matrix, rows, taken)


def _part(matrix: csr_matrix, rows: NDArray[np.int64], keep: NDArray[np.bool_]) -> csr_matrix:
    return csr_matrix((matrix.data[keep], (rows[keep], matrix.indices[keep])), shape=matrix.shape)


def _measured(shown: csr_matrix, target: csr_matrix, users: Sequence[str] | None) -> HeldOut:
    alive = np.flatnonzero(np.diff(target.indptr))
    if alive.size == 0:
        raise InputError("no user has anything to be measured on")
    ids = [str(row) if users is None else users[row] for row in alive.tolist()]
    return HeldOut(shown[alive], target[alive], ids)


def _counts(matrix: csr_matrix, binary: bool) -> csr_matrix:
    """The canonical rows; all ones where `binary`."""
    matrix = canonical(matrix)
    return with_data(matrix, np.ones(matrix.nnz, np.float32)) if binary else matrix
