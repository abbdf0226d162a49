"""Where a training run stands, and the same from a checkpoint that somebody may have written to."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class State:
    """Where the run stands. All of it is in every checkpoint."""

    step: int = 0
    epoch: int = 0
    position: int = 0  # batches of this epoch that are done
    sums: dict[str, float] = field(default_factory=dict)  # of the logged numbers, over this epoch
    history: list[dict[str, float]] = field(default_factory=list)  # one row an epoch
    best_score: float | None = None
    best_epoch: int | None = None
    finished: bool = False


def read_state(saved: dict[str, Any]) -> State:
    """The state in a checkpoint; raises KeyError or TypeError where it is none."""
    state = State(**{key: saved[key] for key in asdict(State())})
    if not isinstance(state.history, list) or not all(
        isinstance(row, dict) for row in (*state.history, state.sums)
    ):
        raise TypeError("want a table of numbers an epoch in history, and one in sums")
    counts = [state.step, state.epoch, state.position]
    numbers = [value for row in (*state.history, state.sums) for value in row.values()]
    if state.best_epoch is not None:
        counts.append(state.best_epoch)
    if state.best_score is not None:
        numbers.append(state.best_score)
    if any(type(count) is not int or count < 0 for count in counts) or type(state.finished) is not bool:
        raise TypeError("want whole numbers for step, epoch, position and best_epoch")
    if any(type(number) not in (int, float) for number in numbers) or not math.isfinite(sum(numbers)):
        raise TypeError("want finite numbers in history, sums and best_score")
    return state
