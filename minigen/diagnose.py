"""Is it any good?  Measures of samples against the data they should be drawn like."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.errors import InputError
from minigen.typing import Array

_CHUNK = 1000  # rows of a distance matrix held at once


class Coverage(NamedTuple):
    """`covered` of `modes` modes; `precision`: the share of samples within three deviations of one."""

    covered: int
    modes: int
    precision: float
    counts: np.ndarray  # samples within three standard deviations of each mode


def mode_coverage(samples: Array, centres: Array, std: float, share: float = 0.2) -> Coverage:
    """Count the modes that samples (N, D) cover: Gaussians of `std` around `centres` (K, D).

    A sample belongs to its nearest centre where that is within 3 std; a mode is covered by `share` of the N/K
    samples that are its due, at the least.  Exact samples in the plane have precision 1 - exp(-9/2) = 0.989.
    """
    counts = np.zeros(len(centres), dtype=np.int64)
    for _, part in _chunks(samples):
        squared = _squared_distances(part, centres)
        near = squared.min(axis=1) <= (3 * std) ** 2
        counts += np.bincount(squared.argmin(axis=1)[near], minlength=len(centres))
    covered = int((counts >= max(1, share * len(samples) / len(centres))).sum())
    return Coverage(covered, len(centres), float(counts.sum() / len(samples)), counts)


def nearest_neighbour_accuracy(x: Array, y: Array) -> float:
    """How often the nearest other row of x (N, D) and y (N, D), pooled, is of the same set: leave-one-out.

    1/2 where both are drawn alike; near 1 where they can be told apart; below 1/2 where one copies the other.
    Raises InputError unless both have the same number of rows, 2 or more.
    Lopez-Paz & Oquab 2017, section 3.
    """
    _want_sets(x, y)
    if len(x) != len(y):
        raise InputError(
            f"two-sample accuracy: want as many samples as rows of data, got {len(x)} and {len(y)}"
        )
    pooled = np.concatenate([x, y])
    first = np.arange(len(pooled)) < len(x)
    right = 0
    for start, part in _chunks(pooled):
        squared = _squared_distances(part, pooled)
        own = np.arange(len(part))
        squared[own, start + own] = np.inf
        right += int((first[squared.argmin(axis=1)] == first[start + own]).sum())
    return right / len(pooled)


def mmd(x: Array, y: Array) -> float:
    """Unbiased squared maximum mean discrepancy of x (N, D) and y (M, D); about 0 if alike.   [eq:mmd]

    mean k(x, x') + mean k(y, y') - 2 mean k(x, y), without pairs of a row with itself, for
    k(a, b) = exp(-|a - b|^2 / (2 m^2)), m the median distance of the pooled rows.
    Raises InputError for fewer than 2 rows in a set, or rows that are mostly the same.
    Gretton et al. 2012, eq. 3.
    """
    _want_sets(x, y)
    pooled = np.concatenate([x, y])
    squared = _squared_distances(pooled, pooled)
    median = np.median(np.sqrt(squared[~np.eye(len(pooled), dtype=bool)]))
    if not median > 0:
        raise InputError("MMD: the median distance is 0, so that the kernel has no width")
    k = np.exp(-squared / (2 * median**2))
    n, m = len(x), len(y)
    within_x = (k[:n, :n].sum() - n) / (n * (n - 1))
    within_y = (k[n:, n:].sum() - m) / (m * (m - 1))
    return float(within_x + within_y - 2 * k[:n, n:].mean())


def _want_sets(x: Array, y: Array) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(
            f"two samples: want two sets of 2 rows or more of one length, got {x.shape} and {y.shape}"
        )


def _chunks(x: Array) -> list[tuple[int, Array]]:
    return [(start, x[start : start + _CHUNK]) for start in range(0, len(x), _CHUNK)]


def _squared_distances(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2 (N, M), in float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    squared = (x * x).sum(axis=1)[:, None] - 2 * x @ y.T + (y * y).sum(axis=1)
    return np.maximum(squared, 0, out=squared)
