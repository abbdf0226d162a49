"""Measure a model on held-out users, a batch of scores at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_matrix

from minigen.backends import NUMPY
from minigen.data.interactions import HeldOut
from minigen.errors import InputError
from minigen.evaluation.metrics import (
    CATALOGUE,
    PER_USER,
    Metric,
    PerUser,
    find_hits,
    novelty,
    parse_metric,
)
from minigen.ops.sparse import row_of_each
from minigen.typing import Array


def users_at_a_time(n_items: int) -> int:
    """How many users may be scored at once, so that their scores stay within 128 MB of float32."""
    return max(1, 2**25 // n_items)


def parts_of(n_users: int, n_items: int) -> list[slice]:
    """Consecutive users, so many as may be scored at once."""
    step = users_at_a_time(n_items)
    return [slice(start, start + step) for start in range(0, max(1, n_users), step)]


def by_parts(rows: csr_matrix, work: Callable[[csr_matrix], tuple[Any, ...]]) -> tuple[Any, ...]:
    """The arrays that `work` makes of the rows (B, M), so many of them at a time as may be scored at once."""
    parts = parts_of(*rows.shape)
    if len(parts) == 1:
        return work(rows)
    return tuple(map(np.concatenate, zip(*(work(rows[part]) for part in parts))))


class Scorer(Protocol):
    """Whatever scores every item (B, M) for histories, CSR (B, M); higher is better."""

    def score(self, histories: csr_matrix, /) -> Array:
        """A score (B, M) for every item."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """What was measured: the values (N,) of `users` by metric, and the figures of the whole catalogue."""

    users: list[str]
    per_user: dict[str, PerUser]
    catalogue: dict[str, float]

    def mean(self, name: str) -> float:
        """The mean over users; for coverage and Gini the figure itself."""
        return self.catalogue[name] if name in self.catalogue else float(self.per_user[name].mean())

    def se(self, name: str) -> float:
        """Standard error of the mean over users, std / sqrt(N); NaN for one user, coverage and Gini."""
        values = self.per_user.get(name, np.empty(0))
        return float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan

    def row(self, model: str, family: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
        """The row of a result file; "se" holds the standard errors that exist."""
        names = [*self.per_user, *self.catalogue]
        se = {name: value for name in names if not math.isnan(value := self.se(name))}
        metrics = {name: self.mean(name) for name in names}
        about = {"model": model, "family": family, "settings": settings, "users": len(self.users)}
        return about | more | {"metrics": metrics, "se": se}


def evaluate(
    model: Scorer,
    held: HeldOut,
    metrics: Iterable[str] = ("recall@20", "recall@50", "ndcg@100"),
    batch: int = 500,
    train: csr_matrix | None = None,
    exclude_seen: bool = True,
) -> Evaluation:
    """Rank all items for each held-out user and compare with the user's targets.

    Items of the fold-in are left out of the lists unless `exclude_seen` is False; users without a target
    are left out of the figures.  At most `batch` users are scored at a time, fewer in a large catalogue.
    `train` (U, M) gives novelty the popularity of items.
    Raises InputError for an unknown metric, k above M, novelty without `train`, scores that are NaN or of
    another shape, or where no user has a target.
    """
    n_items = held.target.shape[1]
    wanted = read_metrics(metrics, n_items, train)
    if batch < 1:
        raise InputError(f"batch: want at least 1, got {batch}")
    alive = np.unique(row_of_each(held.target)[held.target.data > 0])
    if not alive.size:
        raise InputError("no held-out user has anything to be found")
    past = csr_matrix((0, n_items)) if train is None else train  # only novelty asks about it
    popularity = np.bincount(past.indices, minlength=n_items)
    parts: dict[Metric, list[PerUser]] = {m: [] for m in wanted if m.name not in CATALOGUE}
    counts = {m: np.zeros(n_items, dtype=np.int64) for m in wanted if m.name in CATALOGUE}
    depth = max(m.k for m in wanted)
    batch = min(batch, users_at_a_time(n_items))
    for start in range(0, alive.size, batch):
        rows = alive[start : start + batch]
        ranked = _rank(model, held.fold_in[rows], depth, exclude_seen)
        hits, n_target = find_hits(ranked, held.target[rows])
        for m, values in parts.items():
            if m.name == "novelty":
                values.append(novelty(ranked[:, : m.k], popularity, past.shape[0]))
            else:
                values.append(PER_USER[m.name](hits[:, : m.k], n_target))
        for m, count in counts.items():
            shown = ranked[:, : m.k]
            count += np.bincount(shown[shown >= 0], minlength=n_items)
    return Evaluation(
        [held.users[row] for row in alive],
        {str(m): np.concatenate(values) for m, values in parts.items()},
        {str(m): CATALOGUE[m.name](count) for m, count in counts.items()},
    )


def read_metrics(texts: Iterable[str], n_items: int, train: csr_matrix | None = None) -> list[Metric]:
    """The metrics of these names, which `evaluate` can measure; raises InputError as it does."""
    wanted = [parse_metric(text) for text in texts]
    if not wanted:
        raise InputError("no metric is asked for")
    for m in wanted:
        if m.k > n_items:
            raise InputError(f"{m}: the catalogue has {n_items} items")
        if m.name == "novelty" and train is None:
            raise InputError(f"{m} needs the training matrix, to know how popular items are")
    if train is not None and train.shape[1] != n_items:
        raise InputError(f"train has {train.shape[1]} items, the held-out users have {n_items}")
    return wanted


def _rank(model: Scorer, fold_in: csr_matrix, depth: int, exclude_seen: bool) -> np.ndarray:
    scores, ops = model.score(fold_in), getattr(model, "ops", NUMPY)
    host = NUMPY if ops.name == "cuda" else ops  # where the scores are
    if scores.shape != fold_in.shape:
        raise InputError(f"the model gives scores of shape {scores.shape}, want {fold_in.shape}")
    try:
        return host.top_k(scores, depth, fold_in if exclude_seen else None)[0]
    except ValueError as error:
        raise InputError(f"the model's scores cannot be ranked: {error}") from None
