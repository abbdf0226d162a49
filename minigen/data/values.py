"""The values of an event table, checked: the first bad one is named with its line."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from minigen.data.tables import ROW, Table, collect
from minigen.errors import InputError


def check_values(path: Path, table: Table, frame: pl.LazyFrame, weighed: bool) -> int:
    """One pass over typed events: the number of rows without an id, or InputError for the first bad value.

    A column `_name` holds the text that `name` was made from; `weighed` events need a behaviour.
    """
    names = frame.collect_schema().names()
    known = pl.col("user").is_not_null() & pl.col("item").is_not_null()
    bad = {"_valid": ~pl.col("_valid")}
    if "weight" in names:
        weight = pl.col("weight")
        bad["weight"] = known & ~(weight.is_finite() & (weight >= 0)).fill_null(False)
    if "time" in names:
        bad["time"] = known & pl.col("time").is_null()
    for name in ("user", "item"):
        if f"_{name}" in names:
            bad[name] = pl.col(f"_{name}").fill_null(False)
    if weighed and "behaviour" in names:
        bad["behaviour"] = known & pl.col("behaviour").is_null()
    first = {name: pl.col(ROW).filter(test).min() for name, test in bad.items()}
    result = collect(frame.select(**first, known=known.sum(), rows=pl.len())).row(0, named=True)
    for name in bad:
        if (row := result[name]) is not None:
            raise InputError(f"{path}, {table.unit} {row + table.first}: {_complaint(frame, name, row)}")
    if result["known"] == 0:
        raise InputError(f"{path}: holds no event with a user and an item")
    return result["rows"] - result["known"]


def _complaint(frame: pl.LazyFrame, name: str, row: int) -> str:
    if name == "_valid":
        return "is not a JSON object"
    values = collect(frame.filter(pl.col(ROW) == row)).row(0, named=True)
    if name in ("user", "item"):
        return f"the {name} is a number of more digits than JSON readers keep; write it in quotes"
    value = values.get(f"_{name}")
    if value is None:
        return f"{name} is missing"
    if name == "time":
        return f"time {value!r} is neither epoch seconds nor an ISO time"
    number = values["weight"]
    fault = "is not a number" if number is None else "is negative" if number < 0 else "is not finite"
    return f"weight {value!r} {fault}"
