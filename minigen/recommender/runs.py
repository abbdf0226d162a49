"""The data of a run folder: what its model was trained and is to be measured on, beside the checkpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from minigen.data.behaviours import MARK
from minigen.data.interactions import HeldOut, Split
from minigen.data.rows import open_rows, write_rows
from minigen.errors import InputError
from minigen.files import read_arrays, read_json, write_text, writing
from minigen.ops.sparse import check_rows
from minigen.typing import Params

FORMAT = "minigen run data"
_TRAIN, _HELD_OUT = "train", "held-out.safetensors"
FIRST = (_TRAIN, _HELD_OUT)  # what a kill can leave of a run: the ids come last


def write_split(run: Path, split: Split) -> None:
    """Write `split` into the folder `run`: the rows `train`, `held-out.safetensors` and, last, `ids.json`.

    Raises InputError where the disk is full or read-only.
    """
    from safetensors.numpy import save

    parts: dict[str, csr_matrix] = {}
    users = {"train": split.train_users}
    for name, held in (("validation", split.validation), ("test", split.test)):
        if held is not None:
            parts |= {f"{name}.fold_in": held.fold_in, f"{name}.target": held.target}
            users[name] = held.users
    arrays: dict[str, Any] = {}
    for name, matrix in parts.items():
        for field, kind in (("indptr", np.int64), ("indices", np.int32), ("data", np.float32)):
            arrays[f"{name}.{field}"] = getattr(matrix, field).astype(kind)
    write_rows(run / _TRAIN, lambda: [split.train])
    with writing(run / _HELD_OUT) as beside:
        beside.write_bytes(save(arrays))
    ids = {
        "format": FORMAT,
        "name": split.name,
        "hash": split.hash,
        "items": split.items,
        "item_names": split.item_names,
        "behaviours": split.behaviours,
        "users": users,
    }
    write_text(run / "ids.json", json.dumps(ids, ensure_ascii=False))


def read_split(run: Path) -> Split:
    """Read what `write_split` wrote; the training rows stay on the disk, memory-mapped.

    Raises InputError where it is missing, damaged or foreign.
    """
    if (file := run / "ids.json").exists() and not file.is_file():  # a pipe would wait for ever
        raise InputError(f"{file} is not a file")
    ids = read_json(file)
    if not isinstance(ids, dict) or ids.get("format") != FORMAT:
        raise InputError(f"{run}/ids.json does not belong to a minigen run")
    arrays = read_arrays(run / _HELD_OUT)
    try:
        names = ids["item_names"]
        users = {part: _texts(ids["users"][part]) for part in ids["users"]}
        items, n_items = _texts(ids["items"]), len(ids["items"])
        _texts([*names, *names.values()])
        behaviours = tuple(_texts(ids.get("behaviours", [])))
        _want_blocks(items, behaviours)

        def held_out(name: str) -> HeldOut:
            fold_in, target = (
                _matrix(arrays, f"{name}.{part}", len(users[name]), n_items) for part in ("fold_in", "target")
            )
            return HeldOut(fold_in, target, users[name])

        split = Split(
            _texts([ids["name"]])[0],
            open_rows(run / _TRAIN, (len(users["train"]), n_items)),
            users["train"],
            items,
            held_out("validation") if "validation" in users else None,
            held_out("test"),
            names,
            behaviours,
        )
        if split.hash != ids["hash"]:
            raise ValueError("its hash does not fit its content")
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"the data in {run} is damaged: {error}") from None
    return split


def known_histories(split: Split) -> dict[str, tuple[csr_matrix, int]]:
    """For every user of the split: the matrix and the row that hold the whole history the run knows."""
    known = {user: (split.train, row) for row, user in enumerate(split.train_users)}
    for held in (split.validation, split.test):
        if held is not None:
            whole = held.fold_in if held is split.test else (held.fold_in + held.target).tocsr()
            known |= {user: (whole, row) for row, user in enumerate(held.users)}
    return known


def merged_training(split: Split) -> Split:
    """The split with the validation clicks back in training, for a last fit after every choice is made.

    Raises InputError where validation users are not training users: held-out people stay held out.
    """
    held = split.validation
    if held is None:
        return split
    row = {user: n for n, user in enumerate(split.train_users)}
    if not all(user in row for user in held.users):
        raise InputError("validation users are not in training here: there is nothing to put back")
    rows = np.array([row[user] for user in held.users])
    clicks = held.target.tocoo()
    back = csr_matrix((clicks.data, (rows[clicks.row], clicks.col)), shape=split.train.shape)
    return replace(split, train=(split.train + back).tocsr(), validation=None)


def _texts(ids: Any) -> list[str]:
    if not (isinstance(ids, list) and all(isinstance(name, str) for name in ids)):
        raise TypeError("want lists of texts for ids and names")
    "".join(ids).encode()  # a lone surrogate is no text, and could not be written again
    return ids


def _want_blocks(items: list[str], behaviours: tuple[str, ...]) -> None:
    if behaviours:
        heads = [f"{name}{MARK}" for name in behaviours]
        own = [item[len(heads[0]) :] for item in items[: len(items) // len(heads)]]
        if items != [head + item for head in heads for item in own]:
            raise ValueError(f"its items are no blocks of {','.join(behaviours)}")


def _matrix(arrays: Params, name: str, n_rows: int, n_columns: int) -> csr_matrix:
    data, indices, indptr = (arrays[f"{name}.{field}"] for field in ("data", "indices", "indptr"))
    matrix = csr_matrix((data, indices, indptr), shape=(n_rows, n_columns))
    check_rows(matrix)
    return matrix
