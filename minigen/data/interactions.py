"""The sparse matrix of users and items, and its parts: what a model trains on and is measured on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

_CHUNK = 2**20  # numbers in memory at a time


@dataclass(frozen=True)
class Interactions:
    """Who did what: `matrix` (U, M) of weights above 0, with the ids of its rows and columns.

    Ids are strings, so that leading zeros survive; `item_names` maps an item id to what people call it.
    """

    matrix: csr_matrix
    users: list[str]
    items: list[str]
    item_names: dict[str, str] = field(default_factory=dict)

    def name(self, item: str) -> str:
        """What people call an item; its id where nobody has named it."""
        return self.item_names.get(item, item)


@dataclass(frozen=True)
class HeldOut:
    """Users to be measured on: what the model may see of them, and what it must find, both CSR (N, M)."""

    fold_in: csr_matrix
    target: csr_matrix
    users: list[str]


@dataclass(frozen=True)
class Split:
    """A named split: rows to train on, and held-out users for model choice and for the final figure.

    `behaviours`, where there are several, are the blocks of columns, see `minigen.data.behaviours`.
    """

    name: str
    train: csr_matrix
    train_users: list[str]
    items: list[str]
    validation: HeldOut | None
    test: HeldOut
    item_names: dict[str, str] = field(default_factory=dict)
    behaviours: tuple[str, ...] = ()

    @property
    def n_items(self) -> int:
        """How many items there are: each of several behaviours has so many columns."""
        return len(self.items) // max(1, len(self.behaviours))

    @property
    def hash(self) -> str:
        """SHA-256 over the ids and the pairs of every part: equal only for the same work."""
        digest = hashlib.sha256()
        held = [part for part in (self.validation, self.test) if part is not None]
        for ids in (self.items, self.train_users, *(part.users for part in held)):
            digest.update("\0".join(ids).encode() + b"\1")
        for matrix in (self.train, *(m for part in held for m in (part.fold_in, part.target))):
            digest.update(pairs_hash(matrix).encode())
        return digest.hexdigest()


def pairs_hash(matrix: csr_matrix) -> str:
    """SHA-256 of the (row, column, weight) triples of a CSR matrix in sorted order."""
    if not matrix.has_sorted_indices:
        matrix = matrix.sorted_indices()
    digest = hashlib.sha256(np.asarray(matrix.shape, dtype="<i8").tobytes())
    for array, kind in ((matrix.indptr, "<i8"), (matrix.indices, "<i8"), (matrix.data, "<f4")):
        for start in range(0, len(array), _CHUNK):  # the rows may be on the disk, and exceed the memory
            digest.update(array[start : start + _CHUNK].astype(kind).tobytes())
    return digest.hexdigest()
