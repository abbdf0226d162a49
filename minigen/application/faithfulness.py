"""Do the reasons matter?  Explanations held against what happens when clicks are taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.evaluation.metrics import PerUser
from minigen.recommender.base import Recommender, canonical
from minigen.recommender.combine import softmax
from minigen.recommender.explain import influence
from minigen.typing import Array

SHARES = tuple(np.linspace(0, 0.9, 10).tolist())  # of a history that is taken away
Order = NDArray[np.integer]  # (clicks,): places in the history, the first is taken away first
Floats = NDArray[np.float64]


def without(history: csr_matrix, gone: NDArray[np.bool_]) -> csr_matrix:
    """A copy of `history` (1, M) for each row of `gone` (N, clicks), without the clicks marked there."""
    rows = np.tile(history.data, (len(gone), 1))
    kept = csr_matrix(
        (rows.ravel(), np.tile(history.indices, len(gone)), history.nnz * np.arange(len(gone) + 1)),
        shape=(len(gone), history.shape[1]),
    )
    kept.data[gone.ravel()] = 0
    kept.eliminate_zeros()
    return kept


def deletions(model: Recommender, history: csr_matrix, items: Sequence[int]) -> Floats:
    """What each click's deletion adds to log p(j), exactly: (J, clicks), in nats.   [eq:deletion]

    log p(j | x without i) - log p(j | x), p the softmax of the scores: `influence` is its first-order guess,
    with the sign turned.  history (1, M) of at least two clicks; each is taken away whole.
    """
    before = _log_p(model, history)[0, items]
    return (_log_p(model, without(history, np.eye(history.nnz, dtype=bool)))[:, items] - before).T


def orders(
    model: Recommender,
    history: csr_matrix,
    item: int,
    popularity: NDArray[Any],
    ease: Array,
    rng: np.random.Generator,
) -> dict[str, Order]:
    """Orders in which to take the clicks of `history` (1, M) away, to see `item` fall.

    By influence, by each deletion's exact effect, by EASE's weights (M, M), by popularity (M,), at random.
    """
    clicks = history.indices
    strength = {
        "influence": influence(model, history, [item])[0],
        "exact": -deletions(model, history, [item])[0],
        "ease": ease[clicks, item],
        "popularity": popularity[clicks],
        "random": rng.random(len(clicks)),
    }
    return {name: np.argsort(-values, kind="stable") for name, values in strength.items()}


def deletion_curves(
    model: Recommender,
    history: csr_matrix,
    item: int,
    by: Mapping[str, Order],
    shares: Sequence[float] = SHARES,
) -> dict[str, Floats]:
    """log p(item) after a share of the clicks is gone, less that before: (S,) for each order, in nats.

    The last click always stays.
    """
    n = history.nnz
    counts = np.minimum(np.rint(np.array(shares) * n).astype(int), n - 1)
    gone = np.zeros((len(by), len(counts), n), dtype=bool)
    for marks, order in zip(gone, by.values()):
        for mark, count in zip(marks, counts):
            mark[order[:count]] = True
    log_p = _log_p(model, without(history, gone.reshape(-1, n)))[:, item].reshape(len(by), len(counts))
    return dict(zip(by, log_p - _log_p(model, history)[0, item]))


def area(curve: Floats, shares: Sequence[float] = SHARES) -> float:
    """Mean height of a deletion curve by trapezoids, in nats; low: it took much.   [eq:deletion-area]

    Petsiuk et al. 2018, section 4.1, with the logarithm.
    """
    return float((curve[1:] + curve[:-1]) / 2 @ np.diff(shares) / (shares[-1] - shares[0]))


def agreement(
    model: Recommender, history: csr_matrix, items: Sequence[int], ease: Array, rng: np.random.Generator
) -> dict[str, float]:
    """How far influence tells what deletion does, mean over the recommended `items` of one history (1, M).

    deletion, ease: rank correlation over the clicks with the exact effect, and with EASE's weights.
    first: how often the first reason is the click whose deletion costs most; first_chance: 1 / clicks.
    demoted, demoted_random: how often the item falls in rank where its first reason, or any click, is gone.
    """
    pull, effect = influence(model, history, items), -deletions(model, history, items)
    clicks = history.indices
    first, random = pull.argmax(axis=1), rng.integers(len(clicks), size=len(items))
    before = model.score(history)
    after = model.score(without(history, np.eye(len(clicks), dtype=bool)))
    seen = np.isin(np.arange(history.shape[1]), clicks)

    def falls(gone: Order) -> float:
        ranks = [_rank(after[c], seen, j) - _rank(before[0], seen, j) for c, j in zip(gone, items)]
        return float(np.mean(np.array(ranks) > 0))

    return {
        "deletion": _mean_correlation(pull, effect),
        "ease": _mean_correlation(pull, ease[clicks][:, items].T),
        "first": float(np.mean(first == effect.argmax(axis=1))),
        "first_chance": 1 / len(clicks),
        "demoted": falls(first),
        "demoted_random": falls(random),
    }


def measure(
    model: Recommender,
    histories: csr_matrix,
    train: csr_matrix,
    ease: Array,
    k: int = 10,
    seed: int = 0,
) -> tuple[dict[str, PerUser], dict[str, Floats]]:
    """`agreement` on the k recommended items, and `area` for the first of them, by user; the mean curves.

    Histories of two clicks or more.
    """
    rng = np.random.default_rng(seed)
    popularity = np.bincount(train.indices, minlength=train.shape[1])
    figures: dict[str, list[float]] = {}
    curves: dict[str, list[Floats]] = {}
    for row in range(histories.shape[0]):
        history = canonical(histories[row])
        items = model.recommend(history, k)[0][0]
        found: dict[str, Any] = agreement(model, history, items[items >= 0].tolist(), ease, rng)
        by = orders(model, history, int(items[0]), popularity, ease, rng)
        for name, curve in deletion_curves(model, history, int(items[0]), by).items():
            curves.setdefault(name, []).append(curve)
            found[f"area_{name}"] = area(curve)
        for name, value in found.items():
            figures.setdefault(name, []).append(value)
    by_user = {name: np.array(values) for name, values in figures.items()}
    return by_user, {name: np.mean(lines, axis=0) for name, lines in curves.items()}


def _log_p(model: Recommender, histories: csr_matrix) -> Floats:
    return np.log(softmax(model.score(histories).astype(np.float64)))


def _rank(scores: Array, seen: NDArray[np.bool_], item: int) -> int:
    return int(np.sum((scores > scores[item]) & ~seen))


def _mean_correlation(a: Array, b: Array) -> float:
    """Mean over rows of Spearman's rank correlation; a row without any order counts 0."""
    from scipy.stats import rankdata

    x, y = (rankdata(values, axis=1) for values in (a, b))
    x, y = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (x, y))
    norms = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return float(np.mean((x * y).sum(axis=1) / np.where(norms > 0, norms, 1)))
