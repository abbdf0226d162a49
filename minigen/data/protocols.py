"""Named protocols: a name stands for one piece of work, known by its hashes, so that figures compare."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from minigen.data.interactions import HeldOut, Interactions, Split
from minigen.data.matrix import to_interactions
from minigen.data.online_retail import load_clean, load_raw
from minigen.data.splits import strong_split, time_split
from minigen.errors import InputError

_EVENTS = {"online-retail-raw": load_raw, "online-retail": load_clean}
_BY_TIME = "online-retail-time"
_WHOLE_NUMBER = re.compile(r"0|[1-9]\d{0,17}")


class Work(NamedTuple):
    """What a figure is measured on: the size of the catalogue, and what is shown and to be found.

    `shown` and `target` are `pairs_digest`; an empty `shown` is one that nobody has published.
    """

    n_items: int
    shown: str
    target: str

    def is_in(self, held: Work) -> bool:
        """Whether `held`, the work of a held-out part, is this work."""
        return held == (self if self.shown else self._replace(shown=held.shown))

    def apart(self, other: Work) -> str:
        """What tells two pieces of work apart, in words."""
        if self.n_items != other.n_items:
            return f"catalogues of {self.n_items:,} and {other.n_items:,} items"
        return "other items to be found" if self.target != other.target else "other items shown"


@dataclass(frozen=True)
class Protocol:
    """A name for a piece of work; `about` says what is held out, and whose events they are."""

    name: str
    about: str
    work: Work


_STRONG = "500 held-out customers, 80% of their items shown, 20% to be found"

PROTOCOLS = {
    p.name: p
    for p in (
        Protocol(
            "online-retail",
            f"{_STRONG}; purchases that stood, 5-core, seed 0",
            Work(
                3137,
                "d2782477f98f0823b1b40e563dbe35ad2efdd36144a492480f6532fbbbec3f54",
                "dbfa91324a51d79e26913e59628465d74e184e341f40d2ec08853e38f2043443",
            ),
        ),
        Protocol(
            "online-retail-raw",
            f"{_STRONG}; purchases as published, 5-core, seed 0",
            Work(
                3149,
                "bc5939747a53a3b435e3d3701b4e96aa943bacc82a76237a89c370c5e704a3f3",
                "cb5a78f7d125af5a6caf22840f8c2d31bb683cd5e778adc7ea164927413d109a",
            ),
        ),
        Protocol(
            _BY_TIME,
            "what customers bought first in the last tenth of the pairs; purchases that stood, 5-core",
            Work(
                3107,
                "f57b150704bc05cb025f304c588c963674d203a8789a7770ad29c2be80a1d93c",
                "d8dd72f6fb67d0bbf7534298ee994db336b0567f7551726dad05fc83a2425743",
            ),
        ),
        Protocol(
            "lightgcn-gowalla",
            "the LightGCN split of Gowalla: a part of the places of each of 29,858 users",
            Work(
                40981,
                "d453bfc18e5613d6310ab05f7ebc1c6c724ee913dc31c769d1c8743c678d27f7",
                "dac9527045e35230c82e4a5c54715b5e60f8a7bbe935ffdb4ee2ebe21c32ddb7",
            ),
        ),
        Protocol(
            "cfgan-ml-100k",
            "the CFGAN split of MovieLens-100K: a fifth of the ratings, whatever their value, of 943 users",
            Work(
                1653,
                "9e2db379c3b8f5bbadf2882e0bf449b778e06e73f308df696ef909ba33717af2",
                "95857300fe184fa9d9fcd5bd921333bb8f3907299caaf946074c81e969c74f60",
            ),
        ),
        Protocol(
            "mult-vae-ml-20m",
            "the Mult-VAE split of MovieLens-20M: 10,000 held-out users, ratings above 3.5, 80% shown",
            Work(20108, "", "f6e0a437f49a9547314b8f29c4dadc14e406fce20c21febddfc4930eca8ffe0f"),
        ),
    )
}


def protocol_interactions(name: str) -> Interactions:
    """The binary 5-core matrix of a protocol; raises InputError for a name without embedded events."""
    if name not in _EVENTS:
        what = "is measured on files: give them" if name in PROTOCOLS else "is no protocol"
        raise InputError(f"{name} {what}; those of embedded events are {', '.join([*_EVENTS, _BY_TIME])}")
    return to_interactions(_EVENTS[name](), duplicates="once", k_core=5)


def protocol_split(name: str, seed: int = 0, n_validation: int = 500, n_test: int = 500) -> Split:
    """Strong generalisation: 500 + 500 held-out customers, 80% of their items shown, 20% to be found.

    "online-retail-time" is split by time instead, which has no seed.  A protocol is the split of seed 0.
    """
    if name == _BY_TIME:
        return time_split(load_clean(), k_core=5, name=name)
    return strong_split(protocol_interactions(name), n_validation, n_test, seed, name=name)


def find_protocol(name: str) -> Protocol:
    """The protocol called `name`; raises InputError where there is none."""
    if name not in PROTOCOLS:
        raise InputError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def recognise(work: Work) -> Protocol | None:
    """The protocol whose work this is, if it has a name."""
    return next((p for p in PROTOCOLS.values() if p.work.is_in(work)), None)


def work_of(held: HeldOut, items: Sequence[str]) -> Work:
    """The work that a held-out part over the catalogue `items` asks for."""
    shown, target = (pairs_digest(part, held.users, items) for part in (held.fold_in, held.target))
    return Work(len(items), shown, target)


def pairs_digest(matrix: csr_matrix, users: Sequence[str], items: Sequence[str]) -> str:
    """SHA-256 of the sorted (user, item) pairs of a CSR matrix, by their ids: no order of rows matters.

    Pairs are little-endian int64 where every id is a whole number, else lines of "user<tab>item".
    """
    pairs = matrix.tocoo()
    if all(map(_WHOLE_NUMBER.fullmatch, (*users, *items))):
        ids = (np.array([int(name) for name in names], dtype="<i8") for names in (users, items))
        row, column = (numbers[part] for numbers, part in zip(ids, (pairs.row, pairs.col)))
        order = np.lexsort((column, row))
        return hashlib.sha256(np.column_stack([row, column])[order].tobytes()).hexdigest()
    lines = sorted(
        f"{users[row]}\t{items[column]}\n" for row, column in zip(pairs.row.tolist(), pairs.col.tolist())
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
