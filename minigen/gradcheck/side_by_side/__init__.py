"""A right model and the same with a slip in it, trained side by side: what looks fine, and what screams."""

from minigen.gradcheck.side_by_side.families import FAMILIES, UnknownSlipError, find, trainable
from minigen.gradcheck.side_by_side.scene import OWN_LOSS, Family, Scene, Side, looks_fine, run

__all__ = [
    "FAMILIES",
    "OWN_LOSS",
    "Family",
    "Scene",
    "Side",
    "UnknownSlipError",
    "find",
    "looks_fine",
    "run",
    "trainable",
]
