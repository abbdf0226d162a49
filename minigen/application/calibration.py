"""Is a probability a frequency?  Reliability of what a model says about the next item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.evaluation.evaluate import parts_of
from minigen.ops.sparse import canonical, row_of_each
from minigen.recommender.combine import log_softmax
from minigen.typing import Array

DEPTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
TEMPERATURES = tuple(np.geomspace(0.25, 4, 33).tolist())
BINS = 10

Floats = NDArray[np.float64]


class Reliability(NamedTuple):
    """Of each bin: the mean probability predicted, the frequency observed, and the number of predictions."""

    predicted: Floats
    observed: Floats
    size: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: sum_b n_b / N |observed_b - predicted_b|.   [eq:calibration-error]

        Naeini et al. 2015.
        """
        gap = np.abs(self.observed - self.predicted)
        return float(gap @ self.size / self.size.sum())


def reliability(predicted: Floats, observed: Floats, bins: int = BINS) -> Reliability:
    """Probabilities predicted and frequencies observed (N,), in `bins` of equal count by what was predicted.

    Raises ValueError where shapes differ, there are fewer predictions than bins, or one is no probability.
    """
    if predicted.shape != observed.shape or predicted.ndim != 1 or predicted.size < bins:
        raise ValueError(
            f"want two arrays (N,) with N of at least {bins}, got {predicted.shape}, {observed.shape}"
        )
    if not (predicted.min() >= 0 and predicted.max() <= 1 + 1e-6):
        raise ValueError(f"predicted: want 0 to 1, got {predicted.min():g} to {predicted.max():g}")
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, bins)
    means = [[values[part].mean() for part in parts] for values in (predicted, observed)]
    return Reliability(np.array(means[0]), np.array(means[1]), np.array([part.size for part in parts]))


def top_probabilities(p: Array, target: csr_matrix, depths: Sequence[int] = DEPTHS) -> tuple[Floats, Floats]:
    """That the next item is among the k most probable: as predicted, and as it was, each (N, K).

    p (N, M) probabilities of the next item.  Observed: the share of a row's targets (N, M) that are there.
    A depth above M counts as M.  Raises ValueError where a row has no target.
    """
    if not np.diff(target.indptr).all():
        raise ValueError("target: want at least one item in each row")
    parts = [_top(p[part], target[part], depths) for part in parts_of(*p.shape)]
    predicted, observed = map(np.concatenate, zip(*parts))
    return predicted, observed


def _top(p: Array, target: csr_matrix, depths: Sequence[int]) -> tuple[Floats, Floats]:
    order = np.argsort(-p, axis=1, kind="stable")
    mass = np.cumsum(np.take_along_axis(p, order, axis=1), axis=1, dtype=np.float64)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(p.shape[1])[None], axis=1)
    rows = row_of_each(target)
    last = [min(k, p.shape[1]) for k in depths]
    hits = place[rows, target.indices][:, None] < np.array(last)
    observed = np.stack([np.bincount(rows, weights=hit, minlength=len(p)) for hit in hits.T], axis=1)
    return np.minimum(mass[:, np.array(last) - 1], 1.0), observed / np.diff(target.indptr)[:, None]


def nll_nats(log_p: Floats, target: csr_matrix) -> Floats:
    """-log p of a row's targets, in nats, mean over them: (N,).  log_p (N, M).

    Raises InputError where a target is ruled out: an old item among new ones.
    """
    rows = row_of_each(target)
    logs = log_p[rows, target.indices]
    if not np.isfinite(logs).all():
        raise InputError("a target is in its history already: want new items, as all splits but rebuy have")
    return np.bincount(rows, weights=-logs, minlength=len(log_p)) / np.diff(target.indptr)


def choose_temperature(
    scores: Array, histories: csr_matrix, target: csr_matrix, tried: Sequence[float] = TEMPERATURES
) -> float:
    """The T whose softmax(scores / T) over new items has the least NLL of targets.   [eq:temperature]

    Guo et al. 2017, section 4.2.  For validation rows, as every choice.
    """

    def nll(t: float) -> float:
        parts = parts_of(*scores.shape)
        found = [nll_nats(log_new_items(scores[p] / t, histories[p]), target[p]) for p in parts]
        return float(np.concatenate(found).mean())

    return float(min(tried, key=nll))


def new_items(scores: Array, histories: csr_matrix) -> Array:
    """Probabilities (N, M) of the next new item: softmax over the items that the history lacks."""
    return np.exp(log_new_items(scores, histories))


def log_new_items(scores: Array, histories: csr_matrix) -> Floats:
    """Their logarithms, -inf for old items.  Raises InputError where a history leaves nothing new."""
    histories = canonical(histories)
    if (np.diff(histories.indptr) == scores.shape[1]).any():
        raise InputError("histories: want at least one item that is new in each row")
    scores = scores.copy()
    scores[row_of_each(histories), histories.indices] = -np.inf
    return log_softmax(scores)
