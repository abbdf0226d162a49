"""Is one model better than another for users like these?  A paired bootstrap over users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.errors import InputError
from minigen.evaluation.metrics import PerUser

_BLOCK = 2**20  # resampled values held at a time


class Comparison(NamedTuple):
    """Mean difference, its standard error, the ends of its interval, and a two-sided p-value."""

    difference: float
    se: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(
    a: PerUser, b: PerUser, n: int = 10_000, seed: int = 0, level: float = 0.95
) -> Comparison:
    """The difference mean(a) - mean(b) of a metric, and what it would be for other users of the same kind.

    a, b (N,) are values of the same users in the same order.  N users are drawn with replacement n times:
    se is the standard deviation of the mean difference over the draws, low and high its percentiles that
    enclose a share `level` (Efron & Tibshirani 1993, chapters 6 and 13).  p_value is the share of draws,
    the observed one included, that lie at least |difference| from their centre: how often users between
    whom the models are equal would look like that (chapter 16).
    Raises InputError where a and b are no equal number, 2 or more, of finite values, or n or level is odd.
    """
    if a.ndim != 1 or a.shape != b.shape or a.size < 2:
        raise InputError(f"want the values of the same users, 2 or more, got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("the values of users must be finite")
    if n < 2 or not 0 < level < 1:
        raise InputError(f"want 2 draws or more and a level between 0 and 1, got {n} and {level}")
    d = a.astype(np.float64) - b
    difference = float(d.mean())
    means = _resampled_means(d, n, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    # Hits make a lattice of means: a tie with the observed one must not hang on roundoff.
    far = np.abs(means - difference) >= abs(difference) - 1e-12 * np.abs(d).max()
    p_value = (1 + int(far.sum())) / (1 + n)
    return Comparison(difference, float(means.std(ddof=1)), float(low), float(high), p_value)


def _resampled_means(d: PerUser, n: int, rng: np.random.Generator) -> PerUser:
    means = np.empty(n)
    n_block = max(1, _BLOCK // d.size)
    for start in range(0, n, n_block):
        part = means[start : start + n_block]
        part[:] = d[rng.integers(d.size, size=(part.size, d.size), dtype=np.int32)].mean(axis=1)
    return means
