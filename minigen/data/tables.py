"""Opens a table of any known format lazily, and turns every way to fail into one clear line."""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, cast

import polars as pl

from minigen.data.archives import check_gzip
from minigen.errors import InputError

ROW = "_row"
TEXT = "_text"
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
# The streaming engine before 1.25 let broken UTF-8 through: there a query runs in memory.
STREAM: dict[str, Any] = (
    {"engine": "streaming"} if tuple(int(part) for part in pl.__version__.split(".")[:2]) >= (1, 25) else {}
)
_GZIP, _PACKED = b"\x1f\x8b", (b"\x28\xb5\x2f\xfd", b"\x78\x01", b"\x78\x9c", b"\x78\xda")  # zstd, zlib
# A byte that no text file holds: a "table" whose one column is the whole line.
NO_SEPARATOR = "\x01"


@dataclass(frozen=True)
class Table:
    """A lazy table: its frame with a row counter, its column names, and where its first row stands."""

    frame: pl.LazyFrame
    columns: list[str]
    first: int = 1
    unit: str = "line"
    separator: str | None = None  # of lines that are split here; None: the frame has real columns
    json: bool = False
    row: str = ROW  # the name of the counter, unlike that of any column

    def column(self, name: str) -> pl.Expr:
        """The expression that reads the column `name`."""
        if self.json:
            if "\\" in name:
                raise InputError(f"{name!r}: a column of JSON lines has no backslash in its name")
            key = name.replace("'", r"\'")
            return pl.col(TEXT).str.json_path_match(f"$['{key}']")
        if self.separator is not None:
            parts = pl.col(TEXT).str.split(self.separator)
            return parts.list.get(self.columns.index(name), null_on_oob=True)
        return pl.col(name)

    def late(self, names: Sequence[str]) -> list[str]:
        """Those of `names` that JSON lines hold, but not among the first lines."""
        names = [name for name in names if self.json and name not in self.columns]
        forms = [json.dumps(name, ensure_ascii=ascii) for name in names for ascii in (True, False)]
        holds = [pl.col(TEXT).str.contains(form, literal=True) for form in forms]  # reads no JSON: quick
        found = [self.column(name).is_not_null().any().alias(str(n)) for n, name in enumerate(names)]
        there = collect(self.frame.filter(pl.any_horizontal(holds)).select(found)).row(0) if names else ()
        return [name for name, late in zip(names, there) if late]

    def rounded(self, id: pl.Expr) -> pl.Expr:
        """Whether an id of JSON lines is a number that lost digits: beyond 64 bits they become floats."""
        quoted = pl.concat_str(pl.lit('"'), id, pl.lit('"'))
        return id.str.contains(r"^-?\d(\.\d+)?e\+?\d+$") & ~pl.col(TEXT).str.contains(quoted, literal=True)


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """The result of a lazy frame, computed in batches where polars can, so that only the result is held."""
    with _silent_panics():
        return cast("pl.DataFrame", frame.collect(**STREAM))


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read into one InputError line."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error


@contextmanager
def _silent_panics() -> Iterator[None]:
    """Drop what polars prints when it stumbles over a damaged file: the exception says it in one line."""
    try:
        sys.stderr.flush()
        stderr = os.dup(2)
    except (OSError, AttributeError):  # nothing is printed anyway
        yield
        return
    with TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        dropped = False
        try:
            yield
        except pl.exceptions.PanicException:
            dropped = True
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            kept.seek(0)
            if not dropped and (said := kept.read()):
                os.write(2, said)


def format_of(path: Path, format: str | None = None) -> str:
    """`format`, or what the suffix says: csv, parquet or jsonl; raises InputError where it says nothing."""
    if format is None:
        suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
        format = SUFFIXES.get(suffix.lower())
    if format not in set(SUFFIXES.values()):
        known = ", ".join(SUFFIXES)
        raise InputError(f"{path}: format unknown; name it csv, parquet or jsonl, or end the file in {known}")
    return format


def open_table(
    path: Path, format: str | None = None, separator: str | None = None, header: Sequence[str] | None = None
) -> Table:
    """Open CSV (also gzipped), Parquet or JSON lines (also gzipped) without reading it.

    `separator` None is sniffed from the first line; one of several characters splits lines without quotes.
    `header` names the columns of a file that has no header line.
    Raises InputError where there is nothing to read.
    """
    want_file(path)
    kind = format_of(path, format)
    with reading(path):
        if kind == "parquet":
            frame = pl.scan_parquet(path, glob=False)
            row = _unlike(columns := frame.collect_schema().names())
            return Table(frame.with_row_index(row), columns, unit="row", row=row)
        first = first_lines(path, 1 if kind == "csv" else 100)
        if kind == "jsonl":
            return Table(scan_lines(path), _json_keys(path, first), json=True)
        if separator is None:
            (line,) = first.values()
            separator = "\t" if ".tsv" in path.suffixes else max(",;\t|", key=line.count)
        if len(separator) < 2 and not (separator and separator.isascii()):
            raise InputError(f"{path}: separator {separator!r}: want one ASCII character, or several")
        if len(separator) > 1:
            if header is None:
                raise InputError(f"{path}: a separator of several characters needs a header")
            return Table(scan_lines(path), list(header), separator=separator)
        scan = partial(
            pl.scan_csv,
            path,
            separator=separator,
            has_header=header is None,
            new_columns=None if header is None else list(header),
            infer_schema=False,  # ids keep their leading zeros
            glob=False,  # a name with [1] or * is a name
        )
        row = _unlike(columns := scan().collect_schema().names())
        return Table(scan(row_index_name=row), columns, first=1 if header else 2, row=row)


def scan_lines(path: Path) -> pl.LazyFrame:
    """The lines of a text file (also gzipped) as one lazy column, with their counter."""
    return pl.scan_csv(
        path,
        separator=NO_SEPARATOR,
        quote_char=None,
        has_header=False,
        new_columns=[TEXT],
        infer_schema=False,
        row_index_name=ROW,
        glob=False,
    )


def want_text(path: Path) -> None:
    """Raise InputError where the name of `path` is no text: polars cannot open it."""
    if any("\ud800" <= c <= "\udfff" for c in str(path)):
        raise InputError(f"{path}: its name is not UTF-8 text")


def want_file(path: Path) -> None:
    """Raise InputError unless `path` is a file that holds something."""
    want_text(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty")
    with path.open("rb") as file:
        head = file.read(4)
    if path.suffix == ".gz" or head.startswith(_GZIP):
        check_gzip(path)
    elif head.startswith(_PACKED):
        raise InputError(f"{path}: is packed in a way that is not read here; unpack it, or use gzip")


def open_bytes(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked where it is gzipped."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast("IO[bytes]", gzip.open(path) if packed else path.open("rb"))


def first_lines(path: Path, count: int) -> dict[int, str]:
    """The first `count` lines that hold something, by number; raises InputError where there is no text."""
    lines: dict[int, str] = {}
    with reading(path), open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
            if text := line.decode("utf-8-sig").strip("\r\n"):
                lines[number] = text
            if len(lines) == count:
                break
    if not lines:
        raise InputError(f"{path}: is empty")
    return lines


def _unlike(columns: Sequence[str]) -> str:
    """A name that no column has."""
    return max([ROW, *(f"{name}_" for name in columns if name.startswith(ROW))], key=len)


def _json_keys(path: Path, lines: dict[int, str]) -> list[str]:
    keys: dict[str, None] = {}
    for number, line in lines.items():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: is not a JSON object")
        keys.update(dict.fromkeys(row))
    return list(keys)
