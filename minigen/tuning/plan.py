"""What a budget of time buys each model: decided once, from the first measured fits, then left alone.

So the clock has no say in what is tried later, and a contest that was killed goes on to the same result.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from minigen.errors import InputError

ETA = 3  # of the settings in a rung a third goes on, and is trained three times as long
MOST_HALVINGS = 3
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Cost(NamedTuple):
    """What was measured of a model: `seconds` of one fit, or of one epoch where it has `epochs` (else 0).

    `candidates` settings are there to be tried; `spent` are the seconds that the measurement took.
    """

    seconds: float
    candidates: int
    epochs: int = 0
    spent: float = 0.0


class Share(NamedTuple):
    """What a model may try: so many settings, of which the best is trained for `epochs` at the last.

    Between there are `halvings`.  epochs 0: every fit is a whole one.
    """

    candidates: int
    epochs: int = 0
    halvings: int = 0

    @property
    def rungs(self) -> list[tuple[int, int]]:
        """How many settings are trained, and up to which epoch, rung by rung: Jamieson & Talwalkar 2016."""
        steps = range(self.halvings + 1)
        return [
            (max(1, self.candidates // ETA**n), math.ceil(self.epochs / ETA ** (self.halvings - n)))
            for n in steps
        ]

    @property
    def all_epochs(self) -> int:
        """Epochs of all rungs together."""
        ends = [0, *(until for _, until in self.rungs)]
        return sum(n * (ends[i + 1] - ends[i]) for i, (n, _) in enumerate(self.rungs))


def parse_budget(text: str) -> float:
    """Seconds of "90s", "10m", "1h30m" or plain "90"; raises InputError for anything else, or for nothing."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        parts = [(text, "s")]
    elif "".join(number + unit for number, unit in parts) != text or not text:
        raise InputError(f"--budget: want a time like 90s, 10m or 1h30m, got {text!r}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not seconds > 0:
        raise InputError(f"--budget: want more than no time, got {text!r}")
    return seconds


def make_plan(seconds: float, costs: Mapping[str, Cost]) -> dict[str, Share]:
    """Share out `seconds`, of which the measured fits are spent already, in equal parts.

    What a model cannot use goes to the others.  Each has one setting tried at the least, for one epoch.
    """
    most = {name: _bought(math.inf, cost) for name, cost in costs.items()}
    wants = {name: _price(most[name], cost) for name, cost in costs.items()}
    left, granted = seconds - sum(cost.spent for cost in costs.values()), {}
    for n, name in enumerate(sorted(costs, key=wants.__getitem__)):
        granted[name] = min(wants[name], max(0.0, left) / (len(costs) - n))
        left -= granted[name]
    return {name: _bought(granted[name], cost) for name, cost in costs.items()}


def _bought(seconds: float, cost: Cost) -> Share:
    """The largest share of a model that so much time buys."""
    if not cost.epochs:
        more = (seconds + 1e-9) / cost.seconds - 1 if seconds < math.inf else math.inf
        return Share(int(min(cost.candidates, 1 + max(0, more))))
    for halvings in range(MOST_HALVINGS, -1, -1):
        share = Share(min(cost.candidates, ETA**halvings), cost.epochs, halvings)
        enough = share.candidates > ETA ** (halvings - 1) or not halvings
        if enough and _price(share, cost) <= seconds + 1e-9:
            return share
    return Share(1, max(1, min(cost.epochs, 1 + int(seconds / cost.seconds))))


def _price(share: Share, cost: Cost) -> float:
    """Seconds beyond the first fit or epoch; the best of several fits is fitted once more at the end."""
    if cost.epochs:
        return cost.seconds * (share.all_epochs - 1)
    return cost.seconds * share.candidates if share.candidates > 1 else 0.0
