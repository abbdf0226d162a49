"""Named protocols: a name stands for the events, their filter and their split, so that figures compare."""

from __future__ import annotations

from minigen.data.interactions import Interactions, Split
from minigen.data.matrix import to_interactions
from minigen.data.online_retail import load_clean, load_raw
from minigen.data.splits import strong_split
from minigen.errors import InputError

PROTOCOLS = {"online-retail-raw": load_raw, "online-retail": load_clean}


def protocol_interactions(name: str) -> Interactions:
    """The binary 5-core matrix of a protocol; raises InputError for a name that is none."""
    if name not in PROTOCOLS:
        raise InputError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}")
    return to_interactions(PROTOCOLS[name](), duplicates="once", k_core=5)


def protocol_split(name: str, seed: int = 0, n_validation: int = 500, n_test: int = 500) -> Split:
    """Strong generalisation: 500 + 500 held-out customers, 80% of their items shown, 20% to be found."""
    return strong_split(protocol_interactions(name), n_validation, n_test, seed, name=name)
