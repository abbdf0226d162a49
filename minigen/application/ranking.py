"""The recommendation application: generated behaviour, history and filters made into one list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.application.diversity import Vectors, pool_cosines, rerank
from minigen.application.uncertainty import sample_scores
from minigen.errors import InputError
from minigen.evaluation.evaluate import by_parts
from minigen.ops.topk.numpy_topk import top_k
from minigen.recommender.base import Recommender, canonical
from minigen.recommender.combine import combine, softmax
from minigen.typing import Array

POOL = 100  # of the best items that variety may choose from


def with_history(scores: Array, histories: csr_matrix, repeat: float) -> Array:
    """What histories are ranked by at a share r of the history: scores at r = 0, else shares of `combine`.

    -inf where an item is left out: old ones at r = 0, new ones at r = 1.
    """
    old = histories.toarray() > 0
    if repeat == 0:
        return np.where(old, -np.inf, scores)
    combined = combine(softmax(scores), histories, repeat)
    return np.where(old, combined, -np.inf) if repeat == 1 else combined


@dataclass(frozen=True)
class Application:
    """A model and how it is applied.

    repeat: share r of the history in the ranking, see `combine`; 0 leaves old items out, None ranks old and
    new alike by the model's scores.
    diversity: weight of variety among the items of a list, see `rerank`, over the unit rows of `vectors`.
    explore: rank by a code drawn from the person's posterior, not by its mean (Thompson sampling).
    cold (M,): the ranking for people of whom nothing is known; without it they are refused.
    """

    model: Recommender
    repeat: float | None = 0.0
    diversity: float = 0.0
    vectors: Vectors | None = None
    explore: bool = False
    cold: Array | None = None

    def __post_init__(self) -> None:
        if self.diversity and self.vectors is None:
            raise ValueError("vectors: want a row an item, to tell how alike items are")

    def score(self, histories: csr_matrix, rng: np.random.Generator | None = None) -> Array:
        """What histories are ranked by, (B, M), see `with_history`.

        `rng` draws the codes where `explore` is set.  Raises InputError for an empty history without `cold`.
        """
        histories = canonical(histories)
        empty = self._empty(histories)
        scores = np.empty(histories.shape, np.float32)
        if empty.any():
            scores[empty] = self.cold
        if not empty.all():
            known = histories[~empty]
            scores[~empty] = self._known(known, rng)
        return scores

    def _empty(self, histories: csr_matrix) -> NDArray[np.bool_]:
        empty = np.diff(histories.indptr) == 0
        if empty.any() and self.cold is None:
            raise InputError(f"history {empty.argmax()} is empty: there is nothing to recommend from")
        return empty

    def _known(self, histories: csr_matrix, rng: np.random.Generator | None) -> Array:
        scores = sample_scores(self.model, histories, rng) if self.explore else self.model.score(histories)
        return scores if self.repeat is None else with_history(scores, histories, self.repeat)

    def recommend(
        self,
        histories: csr_matrix,
        k: int = 10,
        allowed: NDArray[np.bool_] | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[NDArray[np.intp], Array]:
        """The k best items of each history among those `allowed` (M,), and their scores, each (B, k).

        A row with too few items ends in -1 with score -inf.
        Raises InputError for k outside 1..M, another catalogue, or an empty history without `cold`.
        """
        n_items = self.model.n_items
        if histories.shape[1] != n_items:
            raise InputError(f"the histories have {histories.shape[1]} items, the model {n_items}")
        if not 1 <= k <= n_items:
            raise InputError(f"k is {k}: want 1 to {n_items}, the size of the catalogue")
        histories = canonical(histories)
        self._empty(histories)
        items, scores = by_parts(histories, lambda rows: self._best(rows, k, allowed, rng))
        return items, scores

    def _best(
        self,
        histories: csr_matrix,
        k: int,
        allowed: NDArray[np.bool_] | None,
        rng: np.random.Generator | None,
    ) -> tuple[NDArray[np.intp], Array]:
        scores = self.score(histories, rng)
        if allowed is not None:
            scores[:, ~allowed] = -np.inf
        depth = min(max(k, POOL), scores.shape[1]) if self.diversity else k
        items, best = top_k(scores, depth)
        if not self.diversity:
            return items, best
        assert self.vectors is not None
        return rerank(items, best, pool_cosines(items, self.vectors), self.diversity, k)


def model_vectors(model: Any, train: csr_matrix) -> Vectors:
    """Unit rows (M, D) that tell how alike items are: codes of one-item histories, else who has the item."""
    from scipy.sparse import identity

    from minigen.application.diversity import unit_rows

    if hasattr(model, "codes"):
        return unit_rows(model.codes(csr_matrix(identity(model.n_items, format="csr", dtype=np.float32))))
    return unit_rows(csr_matrix(train.T.tocsr()))
