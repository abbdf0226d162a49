"""Several behaviours side by side: a catalogue of actions, "view:17" and "purchase:17", and its splits.

A history (1, C M) holds a block of M columns for each of C behaviours, in one order of items; the last block
is the behaviour to be recommended, the target, and the only one with anything to be found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, hstack

from minigen.data.interactions import HeldOut, Split
from minigen.data.lightgcn import read_lightgcn_split
from minigen.data.published import with_validation
from minigen.errors import InputError

MARK = ":"

Matrices = Mapping[str, csr_matrix]


def behaviour_folders(folder: str | Path) -> dict[str, Path]:
    """The LightGCN splits below a folder, NAME/test.txt, by NAME; {} unless there are several."""
    found = {path.parent.name: path.parent for path in sorted(Path(folder).glob("*/test.txt"))}
    return found if len(found) > 1 else {}


def read_behaviours_split(
    folder: str | Path, target: str | None, validation_share: float, seed: int = 0
) -> Split:
    """The split of `target` among `behaviour_folders`, with the training rows of the others beside it.

    `validation_share` of each user's training items of the target are carved out, see `with_validation`.

    Raises InputError for a folder without `target`, or parts that are not of the same users and items.
    """
    folders = behaviour_folders(folder)
    target = want_target(str(folder), target, list(folders))
    split = read_lightgcn_split(folders.pop(target), Path(folder).name)
    others = {}
    for name, place in folders.items():
        others[name] = read_lightgcn_split(place, n_users=len(split.train_users)).train
        if others[name].shape != split.train.shape:
            raise InputError(
                f"{place} is of {others[name].shape} users and items, {target} of {split.train.shape}"
            )
    return beside(with_validation(split, validation_share, seed), target, largest_first(others))


def beside(
    split: Split,
    target: str,
    early: Matrices,
    late: Matrices | None = None,
    users: Sequence[str] | None = None,
) -> Split:
    """The split of `target` with blocks (U, M) of other behaviours before its columns.

    `early` is shown in training and at validation, `late` (by default the same) at the test; `users` names
    their rows, by default the training users.
    """
    row = {user: n for n, user in enumerate(split.train_users if users is None else users)}

    def stacked(known: Sequence[str], of: Matrices, mine: csr_matrix) -> csr_matrix:
        rows = np.array([row[user] for user in known])
        return csr_matrix(hstack([*(matrix[rows] for matrix in of.values()), mine], format="csr"))

    def held(part: HeldOut, of: Matrices) -> HeldOut:
        first = csr_matrix((len(part.users), len(of) * len(split.items))).astype(np.float32)
        target_rows = csr_matrix(hstack([first, part.target], format="csr"))
        return HeldOut(stacked(part.users, of, part.fold_in), target_rows, part.users)

    behaviours = (*early, target)
    return replace(
        split,
        train=stacked(split.train_users, early, split.train),
        items=[f"{b}{MARK}{item}" for b in behaviours for item in split.items],
        validation=None if split.validation is None else held(split.validation, early),
        test=held(split.test, early if late is None else late),
        item_names={
            f"{b}{MARK}{i}": f"{b}{MARK} {n}" for b in behaviours for i, n in split.item_names.items()
        },
        behaviours=behaviours,
    )


def own_ids(split: Split) -> list[str]:
    """The id of each item; of several behaviours without theirs before it, "17" of "purchase:17"."""
    return [item.partition(MARK)[2] for item in split.items] if split.behaviours else split.items


def own_names(split: Split) -> dict[str, str]:
    """The names of items in the same way: "Hat" of "purchase: Hat", by what stands in `split.items`."""
    if not split.behaviours:
        return split.item_names
    return {item: name.partition(f"{MARK} ")[2] for item, name in split.item_names.items()}


def of_target(split: Split) -> Split:
    """The last block of a split of several behaviours alone, its items under their own ids."""
    if not split.behaviours:
        return split
    block = slice(len(split.items) - split.n_items, None)

    def held(part: HeldOut) -> HeldOut:
        return HeldOut(part.fold_in[:, block], part.target[:, block], part.users)

    ids, names = dict(zip(split.items[block], own_ids(split)[block])), own_names(split)
    return replace(
        split,
        train=split.train[:, block],
        items=list(ids.values()),
        validation=None if split.validation is None else held(split.validation),
        test=held(split.test),
        item_names={ids[item]: name for item, name in names.items() if item in ids},
        behaviours=(),
    )


def known_parts(held: HeldOut, behaviours: Sequence[str]) -> dict[str, HeldOut]:
    """What is to be found, apart: items that the user has touched by each other behaviour, and "new" ones."""
    n_items = held.target.shape[1] // len(behaviours)
    wanted, seen = held.target.tocoo(), held.fold_in.tocoo()
    touched = seen.row.astype(np.int64) * held.target.shape[1] + seen.col
    parts, new = {}, np.ones(wanted.nnz, dtype=bool)
    for n, name in enumerate(behaviours[:-1]):
        column = wanted.col % n_items + n * n_items
        parts[name] = np.isin(wanted.row.astype(np.int64) * held.target.shape[1] + column, touched)
        new &= ~parts[name]
    return {
        name: replace(
            held,
            target=csr_matrix(
                (wanted.data[part], (wanted.row[part], wanted.col[part])), shape=held.target.shape
            ),
        )
        for name, part in (parts | {"new": new}).items()
    }


def largest_first(matrices: Matrices) -> dict[str, csr_matrix]:
    """The matrices, that of the most pairs first."""
    return dict(sorted(matrices.items(), key=lambda part: (-part[1].nnz, part[0])))


def want_target(source: str, target: str | None, names: Sequence[str]) -> str:
    """`target`, if it is one of several behaviours; raises InputError where it is not."""
    if target is None or target not in names or len(names) < 2:
        raise InputError(
            f"{source}: want one of several behaviours to recommend, got {target!r}; "
            f"there are {', '.join(names)}"
        )
    return target
