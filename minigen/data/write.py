"""Write events to CSV, Parquet or JSON lines: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl

from minigen.data.events import Events
from minigen.data.tables import STREAM, collect, format_of, want_text
from minigen.errors import InputError

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.3f"


def write_events(events: Events, path: str | Path) -> None:
    """Write events (with an item_name column where items have names) to .csv, .tsv, .parquet or .jsonl.

    The file appears under its name only when it is complete. Raises InputError where it cannot be written.
    """
    path = Path(path)
    want_text(path)
    format = format_of(path)
    if path.suffix == ".gz":
        raise InputError(f"{path}: writes are not gzipped; leave .gz out")
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{path}: is a folder" if path.is_dir() else f"{path.parent}: no such folder")
    frame = events.frame
    if events.item_names:
        name = pl.col("item").replace_strict(events.item_names, default=None, return_dtype=pl.String)
        frame = frame.with_columns(item_name=name)
    beside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        _write(frame, format, beside)
        beside.replace(path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: cannot be written: {reason}") from error
    finally:
        beside.unlink(missing_ok=True)


def _write(frame: pl.LazyFrame, format: str, path: Path) -> None:
    # Before 1.25 the sinks knew too few operations: there the events must fit into memory.
    table, verb = (frame, "sink") if STREAM else (collect(frame), "write")
    options: dict[str, Any] = {}
    if format == "csv":
        options = {"separator": "\t" if path.suffix == ".tsv" else ",", "datetime_format": TIME_FORMAT}
    getattr(table, f"{verb}_{'ndjson' if format == 'jsonl' else format}")(path, **options)
