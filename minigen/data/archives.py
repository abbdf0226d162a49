"""Archives that unpack to what a table can be: a few kilobytes must not become all memory."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minigen.errors import InputError

RATIO = 200  # that a table of events packs to; deflate can do 1,000, on zeros alone
ALWAYS = 2**26  # bytes that any archive may unpack to
_PIECE = 2**20


def check_gzip(path: Path) -> None:
    """Unpack `path` once, a piece at a time, for its checksum.

    Raises InputError where it is damaged, or unpacks to more than `RATIO` times its size.
    """
    packed, size = path.stat().st_size, 0
    try:
        with gzip.open(path) as file:
            while piece := file.read(_PIECE):
                _check(path, packed, size := size + len(piece))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip archive at `path`, whose members unpack to no more than they say.

    Raises InputError where it is none, is damaged, or unpacks to more than `RATIO` times its size.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            _check(path, path.stat().st_size, sum(member.file_size for member in archive.infolist()))
            yield archive
    except InputError:
        raise
    # A member that breaks off, an unknown compression, a password.
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: is no zip archive, or is damaged: {reason}") from None


def _check(path: Path, packed: int, unpacked: int) -> None:
    if unpacked > max(ALWAYS, RATIO * packed):
        raise InputError(f"{path}: unpacks to more than {RATIO} times its size, which no data does")
