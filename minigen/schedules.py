"""Numbers that change with the training step: the weight of the KL term, the learning rate."""

from __future__ import annotations

import math


def linear_warmup(step: int, steps: int, cap: float) -> float:
    """KL weight that grows from 0 to `cap` over `steps` steps, then stays.   [eq:kl-annealing]

    Raises ValueError for negative steps.  Liang et al. 2018, section 2.2.2 (there min(cap, step / total)).
    """
    if step < 0 or steps < 0:
        raise ValueError(f"step and steps: want at least 0, got {step} and {steps}")
    return cap if steps == 0 else cap * min(1.0, step / steps)


def cyclical(step: int, period: int, cap: float, rise: float = 0.5) -> float:
    """KL weight that rises from 0 to `cap` over the first `rise` of each period, then rests.

    Raises ValueError unless period >= 1 and 0 < rise <= 1.  Fu et al. 2019, eq. 6.
    """
    if period < 1 or not 0 < rise <= 1:
        raise ValueError(f"want period >= 1 and 0 < rise <= 1, got {period} and {rise}")
    return cap * min(1.0, (step % period) / (rise * period))


def cosine_decay(step: int, steps: int, start: float, end: float = 0.0) -> float:
    """Learning rate that falls from `start` to `end` along half a cosine, then stays.

    Raises ValueError for steps < 1.  Loshchilov & Hutter 2017, eq. 5.
    """
    if steps < 1:
        raise ValueError(f"steps: want at least 1, got {steps}")
    return end + (start - end) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2
