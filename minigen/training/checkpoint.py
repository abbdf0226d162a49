"""Checkpoints that are whole or absent: a folder `step-N` renamed into place, `LATEST` replaced last."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from minigen.errors import InputError
from minigen.files import read_arrays, read_json, sweep, write_text, writing
from minigen.typing import Params

FORMAT = "minigen checkpoint"
VERSION = 1
FILES = ("state.json", "*.safetensors")


def save(run: Path, step: int, arrays: dict[str, Params], state: dict[str, Any]) -> None:
    """Write `arrays` (file name -> named arrays) and `state` as step `step` of `run`, then drop older steps.

    Raises InputError where the disk is full or read-only; the last good checkpoint is then still there.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    name = f"step-{step}"
    if _latest(run) == name:
        name = f"step-{step}+"  # the same step again: never take away what LATEST names
    with writing(run / name, FILES if _is_step(run / name) else ()) as beside:
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


def tidy(run: Path) -> None:
    """Drop the steps that LATEST does not name, and what was half-written: a kill can leave both."""
    name = latest_folder(run).name
    for old in run.glob("step-*"):
        if old.name != name and _is_step(old):
            with suppress(OSError):  # on a disk that takes no writes it stays
                old.replace(run / f".{os.getpid()}.tmp.{old.name}")  # a kill leaves no half of a step
    sweep(run, "*")


def _is_step(folder: Path) -> bool:
    """Is this a step that `save` wrote: others may keep folders of such a name here, too."""
    try:
        state = read_json(folder / "state.json")
    except InputError:
        return False
    named = re.fullmatch(r"step-[0-9]+\+?", folder.name)
    return bool(named) and isinstance(state, dict) and state.get("format") == FORMAT


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


def want_same(run: Path, saved: dict[str, Any], about: dict[str, Any]) -> None:
    """Raise InputError unless the state `saved` of `run` says the same as `about`: its model and settings."""
    for key, value in about.items():
        if saved.get(key) != value:
            raise InputError(f"{run} was made with another {key}: {saved.get(key)!r}, now {value!r}")


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


def _latest(run: Path) -> str | None:
    try:
        return (run / "LATEST").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
