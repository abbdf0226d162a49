"""Splits by time: train on the past, be measured on what came after."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.data.events import Events
from minigen.data.interactions import HeldOut, Split
from minigen.data.matrix import sorted_ids, to_interactions
from minigen.data.tables import collect, reading
from minigen.errors import InputError


def time_split(
    events: Events,
    *,
    share: float = 0.1,
    cuts: tuple[datetime, datetime] | None = None,
    last: int | None = None,
    k_core: int | tuple[int, int] = 1,
    name: str | None = None,
) -> Split:
    """Split by the time of each pair's first event; a repeat is nothing new. Counts are binary.

    One global cut (the default): the last `share` of the pairs are the test, the `share` before it the
    validation; `cuts` (start of validation, start of test, UTC) names the times instead.
    `last` n: each user's last n new items are the test and the n before them the validation; a user with
    fewer than 2 n + 1 stays in training whole.
    k_core filters the pairs first, as in `to_interactions`. A measured user has a past, and items without a
    past are dropped. The test shows train and validation.
    Raises InputError where there are no times or a part is empty.
    """
    pairs = _first_times(events, k_core)
    part = by_cuts(pairs, share, cuts) if last is None else _by_last(pairs, last)
    train_pairs = pairs.filter(part == 0)
    users, items = sorted_ids(train_pairs["user"]), sorted_ids(train_pairs["item"])
    known = pairs["user"].is_in(users.to_list()).to_numpy() & pairs["item"].is_in(items.to_list()).to_numpy()
    shape = (len(users), len(items))
    matrices = []
    for number in range(3):
        chosen = pairs.filter(known & (part == number))
        rows = chosen["user"].replace_strict(users, np.arange(shape[0]), return_dtype=pl.Int64).to_numpy()
        columns = chosen["item"].replace_strict(items, np.arange(shape[1]), return_dtype=pl.Int64).to_numpy()
        matrices.append(csr_matrix((np.ones(rows.size, np.float32), (rows, columns)), shape=shape))
    train, validation, test = matrices
    ids, kept = users.to_list(), items.to_list()
    names = {item: events.item_names[item] for item in kept if item in events.item_names}
    return Split(
        name or ("time" if last is None else f"last-{last}"),
        train,
        ids,
        kept,
        held_part(train, validation, ids, "validation"),
        held_part(train + validation, test, ids, "test"),
        names,
    )


def rebuy_split(
    events: Events, *, share: float = 0.1, k_core: int | tuple[int, int] = 1, name: str = "rebuy"
) -> Split:
    """Split by time with repeats: whatever users do in a window is to be found, done before or not.

    The last `share` of the events are the test, the `share` before it the validation. What is shown of a
    measured user are counts: at how many times before the window each item was met. Training is binary.
    k_core as in `time_split`; a measured user has a past, and items without a past are dropped.
    Raises InputError where there are no times or a part is empty.
    """
    if not 0 < share < 0.5:
        raise InputError(f"share: want a number between 0 and 0.5, got {share}")
    core = _first_times(events, k_core).select("user", "item")
    with reading(events.source):
        met = collect(events.counted.select("user", "item", "time").unique())
    met = met.join(core, on=["user", "item"], how="semi").sort("time", "user", "item")
    first, second = (met["time"][int(met.height * (1 - n * share))] for n in (2, 1))
    past = met.filter(pl.col("time") < first)
    users, items = sorted_ids(past["user"]), sorted_ids(past["item"])
    known = met.filter(pl.col("user").is_in(users.to_list()) & pl.col("item").is_in(items.to_list()))

    def counts(part: pl.DataFrame) -> csr_matrix:
        rows, columns = (
            part[ids.name].replace_strict(ids, np.arange(len(ids)), return_dtype=pl.Int64).to_numpy()
            for ids in (users.alias("user"), items.alias("item"))
        )
        shape = (len(users), len(items))
        return csr_matrix((np.ones(part.height, np.float32), (rows, columns)), shape=shape)

    before, window, after = (
        counts(known.filter(span))
        for span in (
            pl.col("time") < first,
            (pl.col("time") >= first) & (pl.col("time") < second),
            pl.col("time") >= second,
        )
    )
    ids, kept = users.to_list(), items.to_list()
    names = {item: events.item_names[item] for item in kept if item in events.item_names}
    return Split(
        name,
        before.sign(),
        ids,
        kept,
        held_part(before, window.sign(), ids, "validation"),
        held_part(before + window, after.sign(), ids, "test"),
        names,
    )


def _first_times(events: Events, k_core: int | tuple[int, int]) -> pl.DataFrame:
    if "time" not in events.columns:
        raise InputError(f"{events.source}: a split by time needs a time column")
    with reading(events.source):
        pairs = collect(events.counted.group_by("user", "item").agg(pl.col("time").min()))
    core = to_interactions(Events(pairs.select("user", "item").lazy(), events.source), k_core=k_core)
    rows, columns = core.matrix.nonzero()
    kept = pl.DataFrame(
        {"user": pl.Series(core.users).gather(rows), "item": pl.Series(core.items).gather(columns)}
    )
    return pairs.join(kept, on=["user", "item"], how="semi").sort("time", "user", "item")


def by_cuts(pairs: pl.DataFrame, share: float, cuts: tuple[datetime, datetime] | None) -> NDArray[np.int64]:
    """The part of each pair: 0 train, 1 validation, 2 test, by `cuts`, or a `share` of the times for each."""
    if cuts is None:
        if not 0 < share < 0.5:
            raise InputError(f"share: want a number between 0 and 0.5, got {share}")
        times = pairs["time"]
        marks = [times[int(len(times) * (1 - k * share))] for k in (2, 1)] if len(times) else []
    else:
        marks = list(cuts)
    part = np.zeros(pairs.height, dtype=np.int64)
    for mark in marks:
        part += (pairs["time"] >= mark).to_numpy()
    return part


def _by_last(pairs: pl.DataFrame, last: int) -> NDArray[np.int64]:
    if last < 1:
        raise InputError(f"last: want at least 1, got {last}")
    from_end = pl.col("time").cum_count(reverse=True).over("user").cast(pl.Int64)  # 1 for the newest
    size = pl.len().over("user")
    part = (
        pl.when(size < 2 * last + 1)
        .then(0)
        .when(from_end <= last)
        .then(2)
        .when(from_end <= 2 * last)
        .then(1)
        .otherwise(0)
    )
    return pairs.select(part.alias("part"))["part"].to_numpy().astype(np.int64)


def held_part(shown: csr_matrix, target: csr_matrix, users: list[str], what: str) -> HeldOut:
    """The users who have a target; raises InputError, which says `what` it was to be, where nobody has."""
    alive = np.flatnonzero(np.diff(target.indptr))
    if alive.size == 0:
        raise InputError(f"split by time: the {what} part holds no known user with a known item")
    return HeldOut(csr_matrix(shown)[alive], target[alive], [users[row] for row in alive])
