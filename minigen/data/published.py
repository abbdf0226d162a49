"""What others have published: their splits, with a validation cut of our own, and their figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix, diags

from minigen.data.events import Events
from minigen.data.formats import read_triples
from minigen.data.interactions import HeldOut, Interactions, Split
from minigen.data.matrix import to_interactions
from minigen.data.splits import fixed_split, validation_cut
from minigen.errors import InputError


class Published(NamedTuple):
    """A row of figures as published, by our names of the metrics, for the work that `protocol` names."""

    protocol: str
    model: str
    metrics: dict[str, float]
    source: str
    note: str = ""


_GOWALLA = ("recall@20", "ndcg@20")
_CFGAN = tuple(f"{name}@{k}" for k in (5, 20) for name in ("precision", "recall", "ndcg", "mrr"))
_ML_20M = ("recall_min@20", "recall_min@50", "ndcg@100")

PUBLISHED = tuple(
    Published(protocol, model, dict(zip(names, figures, strict=True)), *source)
    for protocol, names, rows in (
        (
            "lightgcn-gowalla",
            _GOWALLA,
            (
                ("NGCF", (0.1570, 0.1327), "He et al. 2020"),
                ("LightGCN", (0.1830, 0.1554), "He et al. 2020"),
                ("GF-CF", (0.1849, 0.1518), "Shen et al. 2021"),
                ("UltraGCN", (0.1862, 0.1580), "Mao et al. 2021"),
            ),
        ),
        (
            "cfgan-ml-100k",
            _CFGAN,
            (
                (
                    "CFGAN",
                    (0.444, 0.152, 0.476, 0.681, 0.294, 0.360, 0.433, 0.693),
                    "Chae et al. 2018",
                    "epoch chosen on the test part",
                ),
            ),
        ),
        (
            "mult-vae-ml-20m",
            _ML_20M,
            (
                ("WMF", (0.360, 0.498, 0.386), "Liang et al. 2018"),
                ("SLIM", (0.370, 0.495, 0.401), "Liang et al. 2018"),
                ("CDAE", (0.391, 0.523, 0.418), "Liang et al. 2018"),
                ("Mult-DAE", (0.387, 0.524, 0.419), "Liang et al. 2018"),
                ("Mult-VAE", (0.395, 0.537, 0.426), "Liang et al. 2018"),
                ("EASE", (0.391, 0.521, 0.420), "Steck 2019", "as others quote it"),
                ("RecVAE", (0.414, 0.553, 0.442), "Shenbin et al. 2020", "as others quote it"),
            ),
        ),
    )
    for model, figures, *source in rows
)


def given_split(train: Events, test: Events, name: str, binary: bool = True) -> Split:
    """The split of two event tables over one set of users and items; both parts may name any of them.

    Raises InputError where a pair stands in both.
    """
    whole = to_interactions(replace(train, frame=pl.concat([_pairs(train), _pairs(test)])), duplicates="once")
    train_rows, test_rows = (
        _place(to_interactions(part, duplicates="once"), whole, binary) for part in (train, test)
    )
    names = train.item_names | test.item_names
    return fixed_split(train_rows, test_rows, name, whole.users, whole.items, names)


def is_cfgan_split(folder: str | Path) -> bool:
    """Whether a folder is laid out as the authors of CFGAN lay theirs out: NAME.train beside NAME.test."""
    return bool(_pairs_of_files(Path(folder)))


def read_cfgan_split(folder: str | Path) -> Split:
    """The split in a folder of NAME.train and NAME.test, a line a pair as in `read_triples`; all count 1.

    Raises InputError where there is no such pair of files, or more than one.
    """
    found = _pairs_of_files(Path(folder))
    if len(found) != 1:
        raise InputError(f"{folder}: want one NAME.train with its NAME.test, found {len(found)}")
    train, test = found[0]
    return given_split(read_triples(train), read_triples(test), train.stem)


def with_validation(split: Split, share: float, seed: int, most: int = 3000) -> Split:
    """Carve a validation part out of the training rows, which are left shorter by it.

    `share` of each user's items are to be found again, by at most `most` users, drawn by `seed`: the others
    keep their rows whole.  The test part is untouched.
    """
    rest, held = validation_cut(split.train, share, seed, split.train_users)
    if len(held.users) > most:
        drawn = np.sort(np.random.default_rng(seed).choice(len(held.users), most, replace=False))
        held = HeldOut(held.fold_in[drawn], held.target[drawn], [held.users[n] for n in drawn])
        cut = np.isin(np.array(split.train_users), held.users).astype(np.float32)
        rest = csr_matrix(diags(cut) @ rest + diags(1 - cut) @ split.train)
    return replace(split, train=rest, validation=held)


def _pairs_of_files(folder: Path) -> list[tuple[Path, Path]]:
    pairs = [(train, train.with_suffix(".test")) for train in sorted(folder.glob("*.train"))]
    return [(train, test) for train, test in pairs if test.is_file()]


def _pairs(events: Events) -> pl.LazyFrame:
    return events.frame.select("user", "item")


def _place(part: Interactions, whole: Interactions, binary: bool) -> csr_matrix:
    """The matrix of a part in the rows and columns of the whole."""
    rows = {user: n for n, user in enumerate(whole.users)}
    columns = {item: n for n, item in enumerate(whole.items)}
    entries = part.matrix.tocoo()
    row = np.array([rows[user] for user in part.users])[entries.row]
    column = np.array([columns[item] for item in part.items])[entries.col]
    data = np.ones_like(entries.data) if binary else entries.data
    return csr_matrix((data, (row, column)), shape=whole.matrix.shape)
