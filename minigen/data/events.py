"""The event table: who did what to which item, when, and how much it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from minigen.data.parse import as_id, as_number, as_time
from minigen.data.tables import ROW, TEXT, Table, collect, open_table, reading
from minigen.data.values import check_values
from minigen.errors import InputError

COLUMNS = ("user", "item", "behaviour", "time", "weight")


@dataclass(frozen=True)
class Events:
    """Events as a lazy frame of user, item and, where known, behaviour, time (UTC) and weight (at least 0).

    `skipped` counts the rows without a user or an item, which are left out.
    """

    frame: pl.LazyFrame
    source: str
    item_names: dict[str, str] = field(default_factory=dict)
    skipped: int = 0

    @property
    def columns(self) -> list[str]:
        """The columns that these events have, in the order of `COLUMNS`."""
        return self.frame.collect_schema().names()

    @property
    def counted(self) -> pl.LazyFrame:
        """Those that count: of a weight above 0, or all where there are no weights."""
        return self.frame.filter(pl.col("weight") > 0) if "weight" in self.columns else self.frame

    def collect(self) -> pl.DataFrame:
        """All events in memory."""
        with reading(self.source):
            return collect(self.frame)

    def info(self) -> dict[str, Any]:
        """What describes the events: sizes, density, span, behaviours, weights, events per user."""
        with reading(self.source):
            per_user = collect(self.frame.group_by("user").len())["len"].to_numpy()
            pairs = collect(self.frame.select("user", "item").unique().select(pl.len())).item()
            items = collect(self.frame.select(pl.col("item").n_unique())).item()
        result: dict[str, Any] = {
            "source": self.source,
            "events": int(per_user.sum()),
            "skipped": self.skipped,
            "users": per_user.size,
            "items": items,
            "pairs": pairs,
            "density": pairs / max(per_user.size * items, 1),
        }
        if per_user.size:
            marks = (0, 0.25, 0.5, 0.75, 0.95, 1)
            names = ("min", "p25", "median", "p75", "p95", "max")
            result["events_per_user"] = dict(zip(names, np.quantile(per_user, marks).tolist()))
        return result | self._info_of_columns()

    def _info_of_columns(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        with reading(self.source):
            if "behaviour" in self.columns:
                counts = collect(self.frame.group_by("behaviour").len()).sort(
                    "len", "behaviour", descending=[True, False]
                )
                result["behaviours"] = dict(counts.iter_rows())
            for name, low, high in (("time", "first", "last"), ("weight", "weight_min", "weight_max")):
                if name in self.columns:
                    column = pl.col(name)
                    least, most = collect(self.frame.select(column.min(), column.max().alias("max"))).row(0)
                    result[low], result[high] = (str(least), str(most)) if name == "time" else (least, most)
        return result


def read_events(
    path: str | Path,
    *,
    user: str = "user",
    item: str = "item",
    behaviour: str | None = None,
    time: str | None = None,
    weight: str | None = None,
    item_name: str | None = None,
    format: str | None = None,
    separator: str | None = None,
    header: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    min_weight: float | None = None,
    rename: Mapping[str, str] | None = None,
) -> Events:
    """Read an event table: CSV or JSON lines (also .gz) or Parquet, by suffix or `format`.

    The names say which column is which; an optional column that nobody names is taken where the table has
    one called behaviour, time, weight or item_name.
    Ids are text. A time is epoch seconds or milliseconds, ISO text or a datetime, and becomes UTC.
    `rename` maps behaviours of the table to other words. `weights` maps each behaviour to a factor on the
    weight (1 where there is none); `min_weight` keeps the events whose weight is at least that.
    `separator` and `header` describe a CSV that is not comma-separated or has no header line.
    Raises InputError, one line, for whatever cannot be read or understood.
    """
    path = Path(path)
    table = open_table(path, format, separator, header)
    asked = {
        "user": user,
        "item": item,
        "behaviour": behaviour,
        "time": time,
        "weight": weight,
        "item_name": item_name,
    }
    with reading(path):
        frame = _typed(table, _find_columns(path, table, asked), rename)
        skipped = check_values(path, table, frame, bool(check_weights(weights)))
        names = _item_names(frame)
    present = [name for name in COLUMNS if name in frame.collect_schema().names()]
    frame = frame.filter(pl.col("user").is_not_null() & pl.col("item").is_not_null()).select(present)
    return weigh(Events(frame, str(path), names, skipped), weights, min_weight)


def weigh(
    events: Events, weights: Mapping[str, float] | None = None, min_weight: float | None = None
) -> Events:
    """Multiply weights (1 where there are none) by each behaviour's factor, then keep those >= min_weight.

    Raises InputError where a weight is negative or no number, or an event's behaviour has none.
    """
    frame = events.frame
    if weights := check_weights(weights):
        _check_behaviours(events, weights)
        factor = pl.col("behaviour").replace_strict(weights, return_dtype=pl.Float64)
        frame = frame.with_columns(weight=factor * (pl.col("weight") if "weight" in events.columns else 1.0))
    if min_weight is not None:
        if not np.isfinite(min_weight):
            raise InputError(f"min_weight: want a finite number, got {min_weight}")
        if "weight" not in frame.collect_schema().names():
            raise InputError(f"{events.source}: min_weight needs a weight column or behaviour weights")
        frame = frame.filter(pl.col("weight") >= min_weight)
    return Events(frame, events.source, events.item_names, events.skipped)


def check_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """The behaviour weights as floats; raises InputError where one is negative or not finite."""
    for name, value in (weights or {}).items():
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"weight of {name}: want a finite number of at least 0, got {value}")
    return {name: float(value) for name, value in (weights or {}).items()}


def _check_behaviours(events: Events, weights: Mapping[str, float]) -> None:
    if "behaviour" not in events.columns:
        raise InputError(f"{events.source}: behaviour weights need a behaviour column")
    with reading(events.source):
        found = collect(events.frame.select(pl.col("behaviour").unique()))["behaviour"].to_list()
    unknown = sorted(str(name) for name in found if name not in weights)
    if unknown:
        there = ", ".join(sorted(map(str, found))[:20])
        raise InputError(f"{events.source}: no weight for behaviour {unknown[0]!r}; the data holds {there}")


def _find_columns(path: Path, table: Table, asked: Mapping[str, str | None]) -> dict[str, str]:
    columns = table.columns + table.late([column or name for name, column in asked.items()])
    found = {}
    for name, column in asked.items():
        if column is None and name in columns:
            column = name
        if column is None:
            continue
        if f"{column}_duplicated_0" in table.columns:  # what polars calls the second of a name
            raise InputError(f"{path}: the column {column!r} of the {name} stands twice in the header")
        if column not in columns:
            there = ", ".join(map(repr, table.columns[:20]))
            raise InputError(f"{path}: no column {column!r} for the {name}; its columns are {there}")
        found[name] = column
    return found


def _typed(table: Table, columns: Mapping[str, str], rename: Mapping[str, str] | None) -> pl.LazyFrame:
    schema = table.frame.collect_schema()
    typed: dict[str, pl.Expr] = {}
    for name, source in columns.items():
        column, dtype = table.column(source), schema.get(source, pl.String())
        if dtype in (pl.Categorical, pl.Enum):
            column, dtype = column.cast(pl.String), pl.String()
        if name == "weight":
            typed[name] = as_number(column, dtype)
        elif name == "time":
            typed[name] = as_time(column, dtype, _holds_numbers(table, column))
        else:
            typed[name] = as_id(column, dtype)
            if table.json and name in ("user", "item"):
                typed[f"_{name}"] = table.rounded(typed[name])
        if name in ("weight", "time"):
            typed[f"_{name}"] = column.cast(pl.String)
    if rename and "behaviour" in typed:
        typed["behaviour"] = typed["behaviour"].replace(dict(rename))
    valid = pl.col(TEXT).is_null() | pl.col(TEXT).str.json_path_match("$").is_not_null()
    return table.frame.select(
        pl.col(table.row).alias(ROW), _valid=valid if table.json else pl.lit(True), **typed
    )


def _holds_numbers(table: Table, column: pl.Expr) -> bool:
    """Whether the first values are all numbers: trying every ISO form on epochs is most of the reading."""
    first = collect(table.frame.select(column.cast(pl.String).alias("value")).head(1000))[
        "value"
    ].drop_nulls()
    return len(first) > 0 and first.str.strip_chars().cast(pl.Float64, strict=False).is_not_null().all()


def _item_names(frame: pl.LazyFrame) -> dict[str, str]:
    if "item_name" not in frame.collect_schema().names():
        return {}
    named = frame.filter(pl.col("item").is_not_null() & pl.col("item_name").is_not_null())
    # The first row that names an item wins, whatever order the batches come in.
    first = named.group_by("item").agg(pl.col("item_name").sort_by(ROW).first())
    return dict(collect(first).sort("item").iter_rows())
