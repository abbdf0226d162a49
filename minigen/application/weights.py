"""How much of everything: each weight of the application, chosen by validation users."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.application.diversity import Vectors, pool_cosines, rerank
from minigen.application.ranking import POOL, with_history
from minigen.application.uncertainty import prior_behaviour
from minigen.data.interactions import HeldOut
from minigen.errors import InputError
from minigen.evaluation.evaluate import Evaluation, by_parts, evaluate
from minigen.evaluation.metrics import PerUser, find_hits, ndcg
from minigen.ops.topk.numpy_topk import top_k
from minigen.recommender.base import Recommender
from minigen.typing import Array

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
VARIETIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
MOST_LOST = 0.02  # of the NDCG, for variety
USERS = 1000  # enough to choose by


class Trial(NamedTuple):
    """A value that was tried, the lists (N, k) that users got, and their NDCG."""

    value: float
    items: NDArray[np.integer]
    ndcg: PerUser


def few(held: HeldOut, n: int = USERS) -> HeldOut:
    """At most n of the users, evenly taken."""
    rows = np.unique(np.linspace(0, len(held.users) - 1, min(n, len(held.users))).astype(int))
    return replace(
        held, fold_in=held.fold_in[rows], target=held.target[rows], users=[held.users[r] for r in rows]
    )


def repeat_trials(
    model: Recommender, held: HeldOut, k: int = 10, shares: Sequence[float] = SHARES
) -> list[Trial]:
    """NDCG@k of the combined ranking for each share r of the history, where old items may be targets, too."""

    def ranked(rows: csr_matrix) -> tuple[Any, ...]:
        scores = model.score(rows)
        return tuple(top_k(with_history(scores, rows, r), k)[0] for r in shares)

    lists = by_parts(held.fold_in, ranked)
    return [Trial(r, items, ndcg_of(items, held.target)) for r, items in zip(shares, lists)]


def diversity_trials(
    model: Recommender,
    vectors: Vectors,
    held: HeldOut,
    k: int = 10,
    weights: Sequence[float] = VARIETIES,
) -> list[Trial]:
    """Lists of k new items and their NDCG@k for each weight of variety."""
    depth = min(max(k, POOL), held.fold_in.shape[1])
    pool, best = by_parts(held.fold_in, lambda rows: top_k(model.score(rows), depth, rows))
    cos = pool_cosines(pool, vectors)
    lists = (rerank(pool, best, cos, weight, k)[0] for weight in weights)
    return [Trial(w, items, ndcg_of(items, held.target)) for w, items in zip(weights, lists)]


def best(trials: Sequence[Trial]) -> Trial:
    """The trial of the highest mean NDCG; the first of equals."""
    return max(trials, key=lambda trial: trial.ndcg.mean())


def most_varied(trials: Sequence[Trial], most_lost: float = MOST_LOST) -> Trial:
    """The largest weight whose mean NDCG is within a share `most_lost` of the best."""
    least = (1 - most_lost) * best(trials).ndcg.mean()
    return max((trial for trial in trials if trial.ndcg.mean() >= least), key=lambda trial: trial.value)


class Cold(NamedTuple):
    """A ranking (M,) for people of whom nothing is known, where it comes from, and what it got."""

    source: str
    behaviour: Array
    evaluation: Evaluation


def popularity(train: csr_matrix, n_items: int | None = None) -> Array:
    """The share of each item in the training clicks of the last `n_items` columns; -inf before them, (M,)."""
    first = train.shape[1] - (n_items or train.shape[1])
    count = np.bincount(train.indices, minlength=train.shape[1]).astype(np.float32)[first:]
    return _from(first, count / count.sum())


def cold_answers(
    model: Any, train: csr_matrix, held: HeldOut, metric: str, n_items: int | None = None
) -> list[Cold]:
    """What to show to strangers, best first: training users' popularity, and what the model's prior does.

    Measured on people of whom nothing is shown and everything, shown items too, is to be found.  They choose:
    want those of the validation, and where there are none, `popularity`.  Of several behaviours the last
    alone counts, `n_items` columns; before them an answer is -inf.
    """
    first = train.shape[1] - (n_items or train.shape[1])
    answers = {"popularity": popularity(train, n_items)}
    with suppress(InputError):  # a model without a prior
        answers["prior"] = _from(first, prior_behaviour(model)[first:])
    whole = csr_matrix(held.fold_in + held.target)[:, first:]
    strangers = HeldOut(csr_matrix(whole.shape), whole, held.users)
    found = [Cold(name, p, evaluate(_Same(p[first:]), strangers, (metric,))) for name, p in answers.items()]
    return sorted(found, key=lambda cold: -cold.evaluation.mean(metric))


def _from(first: int, scores: Array) -> Array:
    return np.concatenate([np.full(first, -np.inf, scores.dtype), scores])


class _Same:
    """Everybody gets the same."""

    def __init__(self, scores: Array) -> None:
        self._scores = scores

    def score(self, histories: csr_matrix, /) -> Array:
        return np.tile(self._scores, (histories.shape[0], 1))


def ndcg_of(items: Any, target: csr_matrix) -> PerUser:
    """NDCG of lists (N, k), -1 where there is no item."""
    hits, n_target = find_hits(items, target)
    return ndcg(hits, n_target)
