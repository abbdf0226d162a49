"""What the ratio of what came out to what was wanted says about the slip behind it."""

from __future__ import annotations

import math

_MATCH = 1e-3  # relative: wide enough for neighbouring terms, narrow enough to tell 2 from 2.01


def explain(ratio: float, batch: int | None = None) -> str:
    """Words for got / wanted (analytic / numeric) at the worst entry; "" where it names no usual slip.

    `batch` is B, where the sizes B, 1/B and their squares are to be recognised.
    """
    if math.isnan(ratio):
        return "not a number: an overflow, a log of 0 or 0/0 on the way"
    if math.isinf(ratio):
        return "something where there is nothing: a mask that should be closed?"
    for value, words in _slips(batch):
        if math.isclose(ratio, value, rel_tol=_MATCH, abs_tol=1e-9):
            return words
    return ""


def _slips(batch: int | None) -> list[tuple[float, str]]:
    slips = [
        (0.0, "nothing where there is something: a forgotten term, or a path cut off?"),
        (-1.0, "the wrong sign"),
        (2.0, "twice too much: a lost 1/2?"),
        (0.5, "half of it: a lost factor 2?"),
    ]
    if batch is not None and batch > 2:
        slips += [
            (batch, f"B = {batch} times too much: a lost 1/B, a sum where a mean belongs?"),
            (1 / batch, f"1/B of it (B = {batch}): 1/B taken twice, a mean for a sum?"),
            (batch**2, f"B^2 times too much (B = {batch}): 1/B lost in two places?"),
            (-batch, f"-B times it (B = {batch}): a wrong sign and a lost 1/B?"),
        ]
    return slips
