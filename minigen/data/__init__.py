"""From events to sparse matrices: readers, cleaning, splits, and the embedded set.

The names load on first use, so that `import minigen.data` needs neither polars nor scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigen.data.events import Events, read_events, weigh
    from minigen.data.formats import (
        FORMATS,
        load,
        read_movielens,
        read_retailrocket,
        read_taobao,
        read_triples,
    )
    from minigen.data.interactions import HeldOut, Interactions, Split
    from minigen.data.lightgcn import read_adjacency, read_lightgcn, read_lightgcn_split
    from minigen.data.matrix import to_interactions
    from minigen.data.protocols import PROTOCOLS, protocol_interactions, protocol_split
    from minigen.data.published import given_split, with_validation
    from minigen.data.splits import (
        fixed_split,
        rebuy_split,
        strong_split,
        time_split,
        validation_cut,
        weak_split,
    )
    from minigen.data.write import write_events

_MODULES = {
    "events": ["Events", "read_events", "weigh"],
    "formats": ["FORMATS", "load", "read_movielens", "read_retailrocket", "read_taobao", "read_triples"],
    "interactions": ["HeldOut", "Interactions", "Split"],
    "lightgcn": ["read_adjacency", "read_lightgcn", "read_lightgcn_split"],
    "matrix": ["to_interactions"],
    "protocols": ["PROTOCOLS", "protocol_interactions", "protocol_split"],
    "published": ["given_split", "with_validation"],
    "splits": ["fixed_split", "rebuy_split", "strong_split", "time_split", "validation_cut", "weak_split"],
    "write": ["write_events"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FORMATS",
    "PROTOCOLS",
    "Events",
    "HeldOut",
    "Interactions",
    "Split",
    "fixed_split",
    "given_split",
    "load",
    "protocol_interactions",
    "protocol_split",
    "read_adjacency",
    "read_events",
    "read_lightgcn",
    "read_lightgcn_split",
    "read_movielens",
    "read_retailrocket",
    "read_taobao",
    "read_triples",
    "rebuy_split",
    "strong_split",
    "time_split",
    "to_interactions",
    "validation_cut",
    "weak_split",
    "weigh",
    "with_validation",
    "write_events",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
