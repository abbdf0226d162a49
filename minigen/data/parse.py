"""How the columns of an event table are understood: ids, weights and times, as polars expressions."""

from __future__ import annotations

from datetime import datetime

import polars as pl

# 1e11 seconds is the year 5138, 1e11 milliseconds is 1973: no log is older in one and younger in the other.
LARGEST_SECOND = 1e11
EARLIEST, LATEST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # what Python can hold
OFFSET_FORMAT = "%Y-%m-%d %H:%M:%S%.f%z"
TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


def as_id(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """An id as text: whole floats (a nullable integer column) lose their '.0'.

    The empty text, and what is no finite number among floats, is missing.
    """
    if dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        return (
            pl.when(whole.cast(pl.Float64) == column)
            .then(whole.cast(pl.String))
            .when(column.is_finite())
            .then(column.cast(pl.String))
        )
    text = column.cast(pl.String)
    return pl.when(text != "").then(text)


def as_number(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A float64; missing where the text is not a number."""
    if dtype == pl.String:
        column = column.str.strip_chars()
    return column.cast(pl.Float64, strict=False)


def as_time(column: pl.Expr, dtype: pl.DataType, numbers: bool = False) -> pl.Expr:
    """A UTC time in milliseconds from epoch seconds, epoch milliseconds, ISO text, dates or datetimes.

    Missing where it is none, or beyond the years 1 to 9999.  `numbers` says that a text column holds epochs
    alone, and spares the search for ISO times.
    """
    time = _any_time(column, dtype, numbers)
    return pl.when(time.is_between(pl.lit(EARLIEST), pl.lit(LATEST))).then(time)


def _any_time(column: pl.Expr, dtype: pl.DataType, numbers: bool) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else column
        return utc.cast(pl.Datetime("ms"))
    if dtype == pl.Date:
        return column.cast(pl.Datetime("ms"))
    number = as_number(column, dtype)
    number = pl.when(number.is_finite()).then(number)
    millis = pl.when(number.abs() < LARGEST_SECOND).then(number * 1000).otherwise(number)
    epoch = millis.round().cast(pl.Int64, strict=False).cast(pl.Datetime("ms"))
    return epoch if numbers or dtype != pl.String else pl.coalesce(epoch, _iso_time(column))


def _iso_time(column: pl.Expr) -> pl.Expr:
    text = column.str.strip_chars().str.replace("T", " ").str.replace("Z$", "+00:00")
    local = [text.str.to_datetime(form, strict=False, time_unit="ms") for form in TIME_FORMATS]
    offset = text.str.to_datetime(OFFSET_FORMAT, strict=False, time_unit="ms", time_zone="UTC")
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("ms"))
    return pl.coalesce(*local, offset.dt.replace_time_zone(None), day)
