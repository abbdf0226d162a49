"""Splits that others have published: their training and test parts, and a validation cut of our own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix, diags

from minigen.data.events import Events
from minigen.data.interactions import HeldOut, Interactions, Split
from minigen.data.matrix import to_interactions
from minigen.data.splits import fixed_split, validation_cut


def given_split(train: Events, test: Events, name: str, binary: bool = True) -> Split:
    """The split of two event tables over one set of users and items; both parts may name any of them.

    Raises InputError where a pair stands in both.
    """
    whole = to_interactions(replace(train, frame=pl.concat([_pairs(train), _pairs(test)])), duplicates="once")
    train_rows, test_rows = (
        _place(to_interactions(part, duplicates="once"), whole, binary) for part in (train, test)
    )
    names = train.item_names | test.item_names
    return fixed_split(train_rows, test_rows, name, whole.users, whole.items, names)


def with_validation(split: Split, share: float, seed: int, most: int = 3000) -> Split:
    """Carve a validation part out of the training rows, which are left shorter by it.

    `share` of each user's items are to be found again, by at most `most` users, drawn by `seed`: the others
    keep their rows whole.  The test part is untouched.
    """
    rest, held = validation_cut(split.train, share, seed, split.train_users)
    if len(held.users) > most:
        drawn = np.sort(np.random.default_rng(seed).choice(len(held.users), most, replace=False))
        held = HeldOut(held.fold_in[drawn], held.target[drawn], [held.users[n] for n in drawn])
        cut = np.isin(np.array(split.train_users), held.users).astype(np.float32)
        rest = csr_matrix(diags(cut) @ rest + diags(1 - cut) @ split.train)
    return replace(split, train=rest, validation=held)


def _pairs(events: Events) -> pl.LazyFrame:
    return events.frame.select("user", "item")


def _place(part: Interactions, whole: Interactions, binary: bool) -> csr_matrix:
    """The matrix of a part in the rows and columns of the whole."""
    rows = {user: n for n, user in enumerate(whole.users)}
    columns = {item: n for n, item in enumerate(whole.items)}
    entries = part.matrix.tocoo()
    row = np.array([rows[user] for user in part.users])[entries.row]
    column = np.array([columns[item] for item in part.items])[entries.col]
    data = np.ones_like(entries.data) if binary else entries.data
    return csr_matrix((data, (row, column)), shape=whole.matrix.shape)
