"""Checkpoints that are whole or absent: a folder `step-N` renamed into place, `LATEST` replaced last."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from minigen.errors import InputError
from minigen.typing import Params

FORMAT = "minigen checkpoint"
VERSION = 1


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Hand out a name beside `path`, moved to `path` only when the block ends without an error.

    What was half-written is removed, by a kill before this too.  A full disk or a folder without the right
    to write is an InputError.
    """
    beside = path.with_name(f".{os.getpid()}.tmp.{path.name}")  # the suffix tells writers the format
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clean(path.parent, escape(path.name))
        yield beside
        _sync(beside)
        if path.is_dir():
            shutil.rmtree(path)  # a step that LATEST never named: its write was cut off
        beside.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot write {path}: {reason}; what was there before is untouched") from None
    finally:
        _remove(beside)


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    with writing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def save(run: Path, step: int, arrays: dict[str, Params], state: dict[str, Any]) -> None:
    """Write `arrays` (file name -> named arrays) and `state` as step `step` of `run`, then drop older steps.

    Raises InputError where the disk is full or read-only; the last good checkpoint is then still there.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    name = f"step-{step}"
    if _latest(run) == name:
        name = f"step-{step}+"  # the same step again: never take away what LATEST names
    with writing(run / name) as beside:
        beside.mkdir()
        head = {"format": FORMAT, "version": VERSION, "step": step}
        (beside / "state.json").write_text(json.dumps(head | state, indent=1), encoding="utf-8")
        for file, named in arrays.items():
            contiguous = {key: np.ascontiguousarray(array) for key, array in named.items()}
            path = beside / f"{file}.safetensors"
            try:
                save_file(contiguous, path)  # without a copy of them
            except SafetensorError as error:
                raise OSError(str(error)) from None
            shutil.copymode(beside / "state.json", path)  # it is for the owner's eyes alone else
    write_text(run / "LATEST", name + "\n")
    tidy(run)


def replace_weights(run: Path, weights: Params) -> None:
    """Write `weights` in the place of those of the latest checkpoint of a finished run.

    Raises InputError as `load` and `save` do.
    """
    _, state = load(run)
    save(run, state["step"], {"weights": weights}, state)


def tidy(run: Path) -> None:
    """Drop the steps that LATEST does not name, and what was half-written: a kill can leave both."""
    name = latest_folder(run).name
    for old in run.glob("step-*"):
        if old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    _clean(run, "*")


def load(run: Path) -> tuple[dict[str, Params], dict[str, Any]]:
    """Read the latest checkpoint of `run`: the arrays of each file, and the state.

    Raises InputError for a missing, truncated or foreign checkpoint.
    """
    folder = latest_folder(run)
    state = read_json(folder / "state.json")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{folder} is not a minigen checkpoint")
    if state.get("version") != VERSION:
        raise InputError(
            f"{folder} has checkpoint version {state.get('version')}, this minigen reads {VERSION}"
        )
    return {file.stem: read_arrays(file) for file in sorted(folder.glob("*.safetensors"))}, state


def latest_folder(run: Path) -> Path:
    """The folder of the latest complete checkpoint of `run`.  Raises InputError where there is none."""
    if not run.exists():
        raise InputError(f"there is no run at {run}")
    name = _latest(run)
    if name is None:
        raise InputError(f"{run} holds no checkpoint (no readable file LATEST)")
    if not name.startswith("step-") or Path(name).name != name or not (run / name).is_dir():
        raise InputError(f"{run}/LATEST names {name!r}, which is not a checkpoint there")
    return run / name


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


def _latest(run: Path) -> str | None:
    try:
        return (run / "LATEST").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _clean(folder: Path, names: str) -> None:
    """Remove what a kill in the middle of a write left half-written."""
    for cut_off in folder.glob(f".*.tmp.{names}"):
        _remove(cut_off)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # whatever is wrong there has been said by the write itself
            path.unlink()


def _sync(path: Path) -> None:
    """Ask the disk to hold `path` before a name points at it."""
    for file in [path] if path.is_file() else path.iterdir():
        with file.open("rb+") as handle:
            os.fsync(handle.fileno())
