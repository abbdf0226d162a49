"""What a ratio of analytic to numeric gradient says about the slip behind it."""

from __future__ import annotations

import math

_MATCH = 1e-3  # relative: wide enough for neighbouring terms, narrow enough to tell 2 from 2.01


def explain(ratio: float, batch: int | None = None) -> str:
    """Words for analytic / numeric at the worst entry; an empty string where the ratio names no usual slip.

    `batch` is B, where the sizes B, 1/B and their squares are to be recognised.
    """
    if math.isnan(ratio):
        return "not a number: an overflow, a log of 0 or 0/0 on the way"
    if math.isinf(ratio):
        return "numeric is 0: the loss does not move here (a mask that should be closed?)"
    for value, words in _slips(batch):
        if math.isclose(ratio, value, rel_tol=_MATCH, abs_tol=1e-9):
            return words
    return ""


def _slips(batch: int | None) -> list[tuple[float, str]]:
    slips = [
        (0.0, "analytic is 0: a forgotten term, or a path cut off"),
        (-1.0, "analytic has the wrong sign"),
        (2.0, "analytic is twice numeric: a lost 1/2?"),
        (0.5, "analytic is half of numeric: a lost factor 2?"),
    ]
    if batch is not None and batch > 2:
        slips += [
            (batch, f"analytic is B = {batch} times numeric: a lost 1/B, a sum where a mean belongs?"),
            (1 / batch, f"analytic is 1/B of numeric (B = {batch}): 1/B taken twice, a mean for a sum?"),
            (batch**2, f"analytic is B^2 times numeric (B = {batch}): 1/B lost in two places?"),
            (-batch, f"analytic is -B times numeric (B = {batch}): a wrong sign and a lost 1/B?"),
        ]
    return slips
