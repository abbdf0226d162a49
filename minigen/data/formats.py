"""One door to every set: `load` knows the embedded sets, the generic tables and the published formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from minigen.data.archives import open_zip
from minigen.data.events import Events, read_events, weigh
from minigen.data.fetch import SOURCES
from minigen.data.lightgcn import read_lightgcn
from minigen.data.online_retail import load_clean, load_raw
from minigen.data.tables import first_lines, reading, want_file
from minigen.errors import InputError

EMBEDDED: dict[str, Callable[[], Events]] = {"online-retail": load_clean, "online-retail-raw": load_raw}
BEHAVIOUR_WORDS = {
    "pv": "view",
    "fav": "favourite",
    "addtocart": "cart",
    "buy": "purchase",
    "transaction": "purchase",
}


def load(path_or_name: str | Path, format: str | None = None, **columns: Any) -> Events:
    """Events from an embedded set ("online-retail", "online-retail-raw") or from a file or folder.

    `format` is one of `FORMATS`; None goes by the name: a folder or file of MovieLens, UserBehavior.csv, the
    archive or folder of RetailRocket, else the suffix. `columns` are the keywords of `read_events`; a format
    that fixes its columns takes only weights and min_weight.
    Raises InputError, one line, for whatever cannot be read.
    """
    given = {name: value for name, value in columns.items() if value is not None}
    if str(path_or_name) in EMBEDDED and format is None:
        _want_no_columns(str(path_or_name), given)
        return _weighed(EMBEDDED[str(path_or_name)](), given)
    path = Path(path_or_name)
    if not path.exists():
        if str(path) in SOURCES:
            raise InputError(f"{path} is not here: minigen data fetch {path} downloads it to data/{path}")
        raise InputError(f"{path}: no such file; embedded sets are {', '.join(EMBEDDED)}")
    format = format or _guess(path)
    if format is None or format in GENERIC:
        return read_events(path, format=format, **given)
    if format not in FORMATS:
        raise InputError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    _want_no_columns(f"format {format}", given)
    return _weighed(FORMATS[format](path), given)


def read_movielens(
    path: str | Path, *, min_rating: float | None = None, rating_above: float | None = None
) -> Events:
    """MovieLens 100K (u.data), 1M and 10M (ratings.dat), 20M and later (ratings.csv): a folder or that file.

    The weight is the rating, the titles are the item names. `min_rating` keeps ratings at or above it,
    `rating_above` those strictly above it (Liang et al. 2018 keep ratings above 3.5).
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in _MOVIELENS if (path / name).exists()]
        if not found:
            raise InputError(f"{path}: holds none of {', '.join(_MOVIELENS)}")
        path = found[0]
    separator = {".data": "\t", ".dat": "::"}.get(path.suffix, ",")
    if separator == ",":
        events = read_events(
            path, user="userId", item="movieId", weight="rating", time="timestamp", format="csv"
        )
    else:
        header = ["user", "item", "weight", "time"]
        events = read_events(path, format="csv", separator=separator, header=header)
    frame = events.frame
    if min_rating is not None:
        frame = frame.filter(pl.col("weight") >= min_rating)
    if rating_above is not None:
        frame = frame.filter(pl.col("weight") > rating_above)
    return Events(frame, events.source, _titles(path), events.skipped)


def read_retailrocket(path: str | Path) -> Events:
    """RetailRocket events.csv, or the archive or folder of one table a behaviour: view, cart, purchase."""
    path = Path(path)
    if path.suffix != ".zip" and path.is_file():
        return read_events(
            path,
            user="visitorid",
            item="itemid",
            behaviour="event",
            time="timestamp",
            rename=BEHAVIOUR_WORDS,
            format="csv",
        )
    parts = []
    with reading(path):
        for name, content in _members(path):
            behaviour = {"view": "view", "add": "cart", "purchase": "purchase"}.get(name.split("_")[0])
            if behaviour is not None and name.endswith("_ecommerce.dat"):
                table = pl.read_csv(content, separator="\t", infer_schema=False)
                parts.append(table.select(user="visitorid", item="itemid", behaviour=pl.lit(behaviour)))
    if not parts:
        raise InputError(f"{path}: holds no view, add_to_cart or purchase table of RetailRocket")
    return Events(pl.concat(parts).lazy(), str(path))


def read_taobao(path: str | Path) -> Events:
    """Taobao UserBehavior.csv (user, item, category, behaviour, seconds): view, favourite, cart, purchase."""
    header = ["user", "item", "category", "behaviour", "time"]
    return read_events(path, format="csv", separator=",", header=header, rename=BEHAVIOUR_WORDS)


def read_triples(path: str | Path) -> Events:
    """A line an event without a header: user, item and perhaps weight and time, apart by tabs or blanks."""
    path = Path(path)
    want_file(path)
    (first,) = first_lines(path, 1).values()
    separator = "\t" if "\t" in first else " "
    header = ["user", "item", "weight", "time"][: first.count(separator) + 1]
    return read_events(path, format="csv", separator=separator, header=header)


GENERIC = ("csv", "parquet", "jsonl")
FORMATS: Mapping[str, Callable[..., Events]] = {
    **dict.fromkeys(GENERIC, read_events),
    "movielens": read_movielens,
    "retailrocket": read_retailrocket,
    "taobao": read_taobao,
    "lightgcn": read_lightgcn,
    "triples": read_triples,
}
# The ratings of each edition, and where its titles stand: file, separator, columns of id and title.
_MOVIELENS = {
    "ratings.csv": ("movies.csv", ","),
    "ratings.dat": ("movies.dat", "::"),
    "u.data": ("u.item", "|"),
}


def _guess(path: Path) -> str | None:
    if path.name in _MOVIELENS or (path.is_dir() and any((path / name).exists() for name in _MOVIELENS)):
        return "movielens"
    if path.suffix == ".zip" or (path.is_dir() and any(path.glob("*_ecommerce.dat"))):
        return "retailrocket"
    return "taobao" if path.name == "UserBehavior.csv" else None


def _weighed(events: Events, given: Mapping[str, Any]) -> Events:
    return weigh(events, given.get("weights"), given.get("min_weight"))


def _want_no_columns(what: str, given: Mapping[str, Any]) -> None:
    # The default names, said aloud, are no wish for other columns.
    wished = {
        name for name, value in given.items() if (name, value) not in (("user", "user"), ("item", "item"))
    }
    if fixed := sorted(wished - {"weights", "min_weight"}):
        raise InputError(f"{what} fixes its columns; leave out {', '.join(fixed)}")


def _titles(ratings: Path) -> dict[str, str]:
    name, separator = _MOVIELENS.get(ratings.name, ("", ""))
    path = ratings.with_name(name)
    if not name or not path.exists():
        return {}
    with reading(path):
        if separator == ",":
            table = pl.read_csv(path, infer_schema=False, glob=False)
            return dict(table.select("movieId", "title").iter_rows())
        content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # the older editions
    rows = [line.split(separator) for line in text.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) > 1}


def _members(path: Path) -> list[tuple[str, bytes]]:
    if path.is_dir():
        return [(file.name, file.read_bytes()) for file in sorted(path.iterdir()) if file.suffix == ".dat"]
    with open_zip(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dat")]
        return [(Path(name).name, archive.read(name)) for name in names]
