"""Published sets from their makers: only when asked, checked, and gone on with after a stop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from minigen.data.archives import open_zip
from minigen.errors import InputError

_PIECE = 2**18
_SECONDS = 30  # without a byte, after which nobody answers
_KEPT = ("u.data", "u.item", "ratings.dat", "movies.dat", "ratings.csv", "movies.csv")


class Source(NamedTuple):
    """Where an archive is, and the MD5 that its makers publish beside it."""

    url: str
    md5: str


def _movielens(name: str, md5: str) -> Source:
    return Source(f"https://files.grouplens.org/datasets/movielens/{name}.zip", md5)


# Their terms allow research, and forbid others to pass the sets on.
SOURCES = {
    "movielens-100k": _movielens("ml-100k", "0e33842e24a9c977be4e0107933c0723"),
    "movielens-1m": _movielens("ml-1m", "c4d9eecfca2ab87c1945afe126590906"),
    "movielens-10m": _movielens("ml-10m", "ce571fd55effeba0271552578f2648bd"),
    "movielens-20m": _movielens("ml-20m", "cd245b17a1ae2cc31bb14903e1204af3"),
    "movielens-25m": _movielens("ml-25m", "6b51fb2759a8657d3bfcbfc42b592ada"),
    "movielens-32m": _movielens("ml-32m", "d472be332d4daa821edc399621853b57"),
}


def fetch(name: str, out: Path, report: Callable[[int, int | None], None] | None = None) -> Path:
    """Download the set `name` into the folder `out` and unpack it; returns the folder of its tables.

    A download that was cut off is gone on with; one that is there already is only checked.  `report` is
    called with the bytes that are there and the bytes of all, where known.
    Raises InputError, one line, for an unknown name, without a network, and for a file of another checksum.
    """
    if name not in SOURCES:
        raise InputError(f"there is no set {name!r} to fetch; there are {', '.join(SOURCES)}")
    source = SOURCES[name]
    archive = out / source.url.rpartition("/")[2]
    out.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        part = archive.with_suffix(".zip.part")
        _download(source.url, part, report or (lambda done, total: None))
        _check(part, source)
        part.replace(archive)
    _check(archive, source)
    return _unpack(archive, out / name)


def _download(url: str, part: Path, report: Callable[[int, int | None], None]) -> None:
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=_SECONDS) as answer:
            if answer.status != 206:  # a server that does not go on begins anew
                done = 0
            size = answer.headers.get("Content-Length")
            total = done + int(size) if size else None
            with part.open("ab" if done else "wb") as file:
                _copy(answer, file, done, total, report)
    except HTTPError as error:
        if error.code == 416:  # nothing is left to send
            return
        raise InputError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"{url} cannot be reached ({reason}); what has come stays in {part}, and the same command goes on"
        ) from None


def _copy(
    answer: IO[bytes],
    file: IO[bytes],
    done: int,
    total: int | None,
    report: Callable[[int, int | None], None],
) -> None:
    while piece := answer.read(_PIECE):
        file.write(piece)
        report(done := done + len(piece), total)
    if total is not None and done < total:
        raise OSError(f"the connection broke off at {done:,} of {total:,} bytes")


def _check(file: Path, source: Source) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != source.md5:
        file.unlink()
        raise InputError(
            f"{source.url}: the MD5 is {found}, its makers say {source.md5}; the file is removed"
        )


def _unpack(archive: Path, folder: Path) -> Path:
    """The tables of the archive, by their bare names: a path inside of it leads nowhere."""
    folder.mkdir(exist_ok=True)
    with open_zip(archive) as members:
        for member in members.infolist():
            name = Path(member.filename).name
            if name in _KEPT and not (folder / name).exists():
                beside = folder / f".{name}.tmp"
                with members.open(member) as packed, beside.open("wb") as file:
                    while piece := packed.read(_PIECE):
                        file.write(piece)
                beside.replace(folder / name)
    return folder
