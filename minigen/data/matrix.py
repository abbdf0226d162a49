"""From events to the sparse matrix of users and items: duplicates, order of ids, k-core."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.data.events import Events
from minigen.data.interactions import Interactions
from minigen.data.tables import collect, reading
from minigen.errors import InputError

LARGEST = np.finfo(np.float32).max
_DIGITS = 12  # of a sum of weights; float32 keeps 7


def to_interactions(
    events: Events,
    *,
    duplicates: Literal["sum", "once"] = "sum",
    k_core: int | tuple[int, int] = 1,
    iterate: bool = True,
) -> Interactions:
    """The float32 CSR matrix (U, M) of events: sorted indices, no zeros, ids in `sorted_ids` order.

    duplicates "sum" adds the weights of a repeated pair (1 an event where there are none), "once" keeps the
    largest. k_core (user_min, item_min), or one number for both: the items a user and the users an item must
    have, counted again until nothing changes (`iterate`) or once.
    Raises InputError where nothing is left, or a weight is beyond float32.
    """
    if duplicates not in ("sum", "once"):
        raise InputError(f"duplicates: want sum or once, got {duplicates!r}")
    user_min, item_min = (k_core, k_core) if isinstance(k_core, int) else k_core
    pairs = _pairs(events, duplicates)
    if pairs.is_empty():
        raise InputError(f"{events.source}: no event has a weight above 0")
    users, rows = _codes(pairs["user"])
    items, columns = _codes(pairs["item"])
    keep = core_mask(rows, columns, user_min, item_min, iterate)
    if not keep.any():
        raise InputError(_nothing_left(events, rows, columns, user_min, item_min))
    rows, kept_users = _recode(rows[keep], users)
    columns, kept_items = _recode(columns[keep], items)
    shape = (len(kept_users), len(kept_items))
    with np.errstate(over="ignore", under="ignore"):
        weights = pairs["weight"].to_numpy()[keep].astype(np.float32)
    if not np.isfinite(weights).all():
        raise InputError(f"{events.source}: the weights of a pair add up to more than {LARGEST:.3g}")
    matrix = csr_matrix((weights, (rows, columns)), shape=shape)
    matrix.sort_indices()
    names = {item: events.item_names[item] for item in kept_items if item in events.item_names}
    return Interactions(matrix, kept_users, kept_items, names)


def core_mask(
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
    user_min: int,
    item_min: int,
    iterate: bool = True,
) -> NDArray[np.bool_]:
    """Which of the distinct pairs (rows, columns) belong to the core: users and items are counted together.

    The iterated core is the largest set of pairs in which every user and every item has its minimum.
    """
    keep = np.ones(rows.size, dtype=bool)
    while True:
        user_counts = np.bincount(rows[keep], minlength=1 + rows.max(initial=0))
        item_counts = np.bincount(columns[keep], minlength=1 + columns.max(initial=0))
        after = keep & (user_counts[rows] >= user_min) & (item_counts[columns] >= item_min)
        if not iterate or after.sum() == keep.sum():
            return after
        keep = after


def sorted_ids(ids: pl.Series) -> pl.Series:
    """The distinct ids: whole numbers first and by value ("9" before "10"), then all others as text."""
    number = pl.col("id").str.to_integer(strict=False).alias("number")
    ordered = pl.DataFrame({"id": ids.unique()}).with_columns(number).sort("number", "id", nulls_last=True)
    return ordered["id"]


def _pairs(events: Events, duplicates: str) -> pl.DataFrame:
    weight = pl.col("weight") if "weight" in events.columns else pl.lit(1.0)
    frame = events.frame.select("user", "item", weight=weight)
    total = pl.col("weight").sum() if duplicates == "sum" else pl.col("weight").max()
    frame = frame.group_by("user", "item").agg(total).filter(pl.col("weight").cast(pl.Float32) > 0)
    # Batches add in any order; rounding makes the same sum of it every time.
    frame = frame.with_columns(pl.col("weight").round_sig_figs(_DIGITS))
    with reading(events.source):
        return collect(frame)


def _codes(ids: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    order = sorted_ids(ids)
    code = ids.replace_strict(order, np.arange(len(order)), return_dtype=pl.Int64)
    return order.to_list(), code.to_numpy()


def _recode(codes: NDArray[np.int64], ids: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    kept, recoded = np.unique(codes, return_inverse=True)
    return recoded.reshape(-1), [ids[code] for code in kept]


def _nothing_left(
    events: Events, rows: NDArray[np.integer], columns: NDArray[np.integer], user_min: int, item_min: int
) -> str:
    low, high = (
        1,
        max(user_min, item_min),
    )  # the 1-core is everything; cores are nested, so halving finds the last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if core_mask(rows, columns, middle, middle).any() else (low, middle)
    asked = f"{user_min}" if user_min == item_min else f"({user_min}, {item_min})"
    return f"{events.source}: the {asked}-core is empty; the largest k with something left is {low}"
