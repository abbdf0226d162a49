"""Splits of events of several behaviours: one of them is to be found, all others are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.data.behaviours import MARK, Matrices, beside, largest_first, want_target
from minigen.data.by_time import by_cuts, held_part
from minigen.data.events import Events
from minigen.data.interactions import HeldOut, Interactions, Split
from minigen.data.matrix import to_interactions
from minigen.data.splits import validation_cut, weak_split
from minigen.data.tables import collect, reading
from minigen.errors import InputError

KINDS = ("strong", "weak", "time")
_SHARE = 0.2  # of a held-out user's target items are to be found


def behaviour_split(
    events: Events,
    target: str | None,
    kind: str = "strong",
    *,
    k_core: int | tuple[int, int] = 1,
    held_out: int | None = None,
    seed: int = 0,
    unseen: bool = False,
) -> Split:
    """A split of events in which items of the behaviour `target` are to be found, and all others are shown.

    "strong": a fifth of the target items of `held_out` users (a tenth of those with two or more) for
    validation, and of as many for the test; "weak": a fifth of every user's, and a tenth of the rest for
    validation; "time": the last tenth of the target for the test, the tenth before it for validation, and
    of all behaviours only what came before is shown.  Counts are binary, and k_core counts pairs of any
    behaviour.
    `unseen` hides, unless by time, whatever else a user did to an item that is to be found.
    Raises InputError for an unknown kind or target, or too little data.
    """
    if kind not in KINDS:
        raise InputError(f"there is no split {kind!r}; there are {', '.join(KINDS)}")
    names = _behaviours(events)
    target = want_target(events.source, target, names)
    whole = to_interactions(events, duplicates="once", k_core=k_core)
    if kind == "time":
        return _by_time(events, whole, names, target)
    with reading(events.source):
        pairs = collect(events.counted.select("user", "behaviour", "item").unique())
    matrices = {name: _place(pairs.filter(pl.col("behaviour") == name), whole) for name in names}
    mine = replace(whole, matrix=matrices.pop(target))
    split = weak_split(mine, seed=seed) if kind == "weak" else _strong(mine, held_out, seed)
    early: Matrices = largest_first(matrices)
    late = early
    if unseen:
        late = _hide(late, split.test, whole.users)
        early = _hide(late, split.validation, whole.users)
    return beside(split, target, early, late, whole.users)


def _strong(mine: Interactions, held_out: int | None, seed: int) -> Split:
    eligible = np.flatnonzero(np.diff(mine.matrix.indptr) >= 2)
    n = max(1, eligible.size // 10) if held_out is None else held_out
    if n < 1 or 2 * n > eligible.size or 2 * n >= len(mine.users):
        raise InputError(
            f"strong split: {n} + {n} held-out users are too many of {len(mine.users)}, "
            f"{eligible.size} of them with two items or more of the target behaviour"
        )
    drawn = np.random.default_rng(seed).permutation(eligible)[: 2 * n]

    def held(rows: NDArray[np.int64], seed: int) -> HeldOut:
        return validation_cut(mine.matrix[rows], _SHARE, seed, [mine.users[row] for row in rows])[1]

    rest = np.setdiff1d(np.arange(len(mine.users)), drawn)
    parts = held(np.sort(drawn[:n]), seed), held(np.sort(drawn[n:]), seed + 1)
    users = [mine.users[row] for row in rest]
    return Split("strong", mine.matrix[rest], users, mine.items, *parts, mine.item_names)


def _by_time(events: Events, whole: Interactions, names: list[str], target: str) -> Split:
    if "time" not in events.columns:
        raise InputError(f"{events.source}: a split by time needs a time column")
    with reading(events.source):
        actions = collect(events.counted.group_by("user", "behaviour", "item").agg(pl.col("time").min()))
    times = actions.filter(pl.col("behaviour") == target)["time"].sort()
    cuts = times[int(len(times) * (1 - _SHARE))], times[int(len(times) * (1 - _SHARE / 2))]
    actions = actions.with_columns(part=by_cuts(actions, _SHARE, cuts))
    blocks = [
        {b: _place(actions.filter((pl.col("part") == n) & (pl.col("behaviour") == b)), whole) for b in names}
        for n in range(3)
    ]
    past = sum(blocks[0].values(), csr_matrix(whole.matrix.shape))
    users, items = np.flatnonzero(past.sum(axis=1)), np.flatnonzero(past.sum(axis=0))
    early, middle, last = ({b: matrix[users][:, items] for b, matrix in block.items()} for block in blocks)
    late = {b: csr_matrix(early[b] + middle[b]) for b in names}
    ids, kept = [whole.users[n] for n in users], [whole.items[n] for n in items]
    split = Split(
        "time", early[target], ids, kept,
        held_part(early[target], middle[target], ids, "validation"),
        held_part(late[target], last[target], ids, "test"),
        {item: whole.item_names[item] for item in kept if item in whole.item_names},
    )  # fmt: skip
    order = largest_first({b: early[b] for b in names if b != target})
    return beside(split, target, order, {b: late[b] for b in order})


def _hide(others: Matrices, part: HeldOut | None, users: Sequence[str]) -> Matrices:
    """Without what the users of a held-out part did to the items that they are to be asked for."""
    assert part is not None
    row = {user: n for n, user in enumerate(users)}
    place = csr_matrix(
        (np.ones(len(part.users)), ([row[user] for user in part.users], np.arange(len(part.users)))),
        shape=(len(users), len(part.users)),
    )
    asked = place @ part.target
    left = {b: csr_matrix(matrix - matrix.multiply(asked != 0)) for b, matrix in others.items()}
    for matrix in left.values():
        matrix.eliminate_zeros()
    return left


def _place(pairs: pl.DataFrame, whole: Interactions) -> csr_matrix:
    """Ones (U, M) at pairs of user and item, those outside `whole` left out."""
    known = pairs.filter(pl.col("user").is_in(whole.users) & pl.col("item").is_in(whole.items))
    rows, columns = (
        known[name].replace_strict(ids, np.arange(len(ids)), return_dtype=pl.Int64).to_numpy()
        for name, ids in (("user", whole.users), ("item", whole.items))
    )
    return csr_matrix((np.ones(rows.size, np.float32), (rows, columns)), shape=whole.matrix.shape)


def _behaviours(events: Events) -> list[str]:
    if "behaviour" not in events.columns:
        raise InputError(f"{events.source}: a target behaviour needs a behaviour column")
    with reading(events.source):
        names = collect(events.frame.select(pl.col("behaviour").unique()))["behaviour"].drop_nulls().to_list()
    if odd := [name for name in names if MARK in name or "," in name]:
        raise InputError(f"{events.source}: a behaviour's name has no {MARK!r} and no comma, got {odd[0]!r}")
    return sorted(names)
