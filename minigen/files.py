"""Files that are whole or absent, and reading that is refused in one line."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from minigen.errors import InputError
from minigen.typing import Params


@contextmanager
def writing(path: Path, over: Collection[str] = ()) -> Iterator[Path]:
    """Hand out a name beside `path`, moved to `path` only when the block ends without an error.

    What was half-written is removed, by a kill before this too.  A folder at `path` stays, but one of files
    alone whose names fit the patterns `over`, where a folder is written.  What may not be replaced, a full
    disk or a folder without the right to write is an InputError.
    """
    want_place(path, over)
    beside = path.with_name(f".{os.getpid()}.tmp.{path.name}")  # the suffix tells writers the format
    old = path.with_name(f".{os.getpid()}.old.tmp.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, escape(path.name))
        yield beside
        _sync(beside)
        if path.is_dir():  # no rename replaces a folder
            want_place(path, over if beside.is_dir() else ())
            path.replace(old)
        beside.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}; what was there before is untouched") from None
    finally:
        with suppress(OSError):  # nearly always there is no old one
            if path.exists():
                _remove(old)
            else:
                old.replace(path)
        _remove(beside)


def want_place(path: Path, over: Collection[str] = ()) -> None:
    """Raise InputError where something stands at `path` that `writing` may not replace."""
    try:
        if path.is_dir():
            own = {one for one in path.iterdir() if one.is_file() and any(map(one.match, over))}
            strange = {*path.iterdir()} - own
            if strange or not over:
                holds = f", which holds {min(strange).name}" if over else ""
                raise InputError(f"cannot write {path}: it is a folder{holds}")
        elif path.exists() and not path.is_file():
            raise InputError(f"cannot write {path}: it is there, and is no file")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all; what is no text, of a file name perhaps, as escapes."""
    with writing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_arrays(file: Path) -> Params:
    """Read one safetensors file.  Raises InputError where it is missing, truncated or foreign."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, KeyError, MemoryError) as error:
        raise InputError(f"{file} is damaged or is not a safetensors file: {error}") from None


def read_json(file: Path) -> Any:
    """Read one JSON file.  Raises InputError where it is missing or not JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON: {error}") from None


def sweep(folder: Path, names: str) -> None:
    """Remove what a kill in the middle of a write left half-written."""
    for half in filter(cut_off, folder.glob(f".*.tmp.{names}")):
        _remove(half)


def cut_off(path: Path) -> bool:
    """Is this a name that `writing` hands out?  Others may hide files beside it."""
    return re.match(r"\.[0-9]+(\.old)?\.tmp\.", path.name) is not None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # whatever is wrong there has been said by the write itself
            path.unlink()


def _sync(path: Path) -> None:
    """Ask the disk to hold `path` before a name points at it."""
    for file in [path] if path.is_file() else path.iterdir():
        with file.open("rb+") as handle:
            os.fsync(handle.fileno())
