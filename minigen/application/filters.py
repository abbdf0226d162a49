"""Which items may be shown: out of stock, by name, and by the columns of a table of items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minigen.data.behaviours import own_ids, own_names
from minigen.data.interactions import Split
from minigen.errors import InputError
from minigen.recommender.lookup import item_finder

Mask = NDArray[np.bool_]  # (M,): may the item be shown


def of_last(split: Split) -> Mask:
    """Items of the last of several behaviours: that is what is recommended."""
    return np.arange(len(split.items)) >= len(split.items) - split.n_items


def named(split: Split, pattern: str) -> Mask:
    """Items whose name (or id, where there is none) a regular expression finds; case does not matter.

    Raises InputError for a pattern that is none.
    """
    try:
        wanted = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise InputError(f"{pattern!r} is no regular expression: {error}") from None
    names = own_names(split)
    called = (names.get(item, own) for item, own in zip(split.items, own_ids(split)))
    return np.array([wanted.search(name) is not None for name in called])


def available(split: Split, unavailable: Iterable[str]) -> tuple[Mask, int]:
    """Items that are not among `unavailable` (ids or names), and how many of these the run does not know.

    Raises InputError for a name of several items.
    """
    find = item_finder(split)
    mask, unknown = np.ones(len(split.items), dtype=bool), 0
    for item in unavailable:
        place = find(item)
        if place is None:
            unknown += 1
        else:
            mask[place % split.n_items :: split.n_items] = False  # by whatever behaviour it is called
    return mask, unknown


def read_list(path: Path) -> list[str]:
    """The lines of a text file, without blank ones.  Raises InputError where it cannot be read."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


def where(split: Split, table: Path, conditions: Sequence[str]) -> Mask:
    """Items whose row in a table (CSV, Parquet, JSON lines) fulfils every COLUMN=VALUE.

    The column `item`, or else the first, holds the ids.  Items without a row fulfil nothing.
    Raises InputError for a table that cannot be read, or a column that it lacks.
    """
    import polars as pl

    from minigen.data.tables import collect, open_table, reading

    pairs = [condition.partition("=") for condition in conditions]
    for condition, (column, equals, _) in zip(conditions, pairs):
        if not (column and equals):
            raise InputError(f"want COLUMN=VALUE, got {condition!r}")
    rows = open_table(table)
    for column, _, _ in pairs:
        if column not in rows.columns:
            raise InputError(f"{table} has no column {column!r}; it has {', '.join(rows.columns)}")
    ids = "item" if "item" in rows.columns else rows.columns[0]
    with reading(table):
        texts = ((rows.column(name).cast(pl.String).str.to_lowercase(), value) for name, _, value in pairs)
        chosen = rows.frame.filter(*(text == value.lower() for text, value in texts))
        kept = set(collect(chosen.select(rows.column(ids).cast(pl.String).alias("id")))["id"].to_list())
    return np.array([item in kept or own in kept for item, own in zip(split.items, own_ids(split))])
