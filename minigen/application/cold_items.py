"""Items that nobody has yet: scored by what they are, and measured against simpler ways.

A tenth of the items is taken out of training for choices, another tenth for the final figures; people keep
only what is left.  Both the model and its generator of features learn without these items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from minigen.application.diversity import unit_rows
from minigen.application.feature_generator import FeatureGenerator, Features
from minigen.data.interactions import HeldOut, Split
from minigen.errors import InputError
from minigen.evaluation.metrics import PerUser, find_hits, ndcg, recall
from minigen.ops.topk.numpy_topk import top_k
from minigen.typing import Array

K = 20
NEIGHBOURS = 20
DRAWS = 10  # sets of features drawn for a person
KNN, GENERATOR, BOTH = "content neighbours", "generated features", "neighbours and generated"
POWERS, PRICES, WEIGHTS = (0.0, 0.5, 1.0), (0.0, 0.3, 1.0), (0.0, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
SHARPNESS = (1.0, 2.0, 4.0)

Items = NDArray[np.integer]


class Case(NamedTuple):
    """People with what they have of the warm items (N, W), and what they have of others (N, C)."""

    users: list[str]
    histories: csr_matrix
    target: csr_matrix


class Measured(NamedTuple):
    """Of each user: NDCG and recall at 20."""

    users: list[str]
    ndcg: PerUser
    recall: PerUser


def split_items(n_items: int, seed: int, share: float = 0.1) -> tuple[Items, Items, Items]:
    """Warm items, those to choose by, and those to measure on, each ascending; `share` of all are either.

    Raises InputError where that leaves one of them empty.
    """
    n = round(share * n_items)
    if not 0 < n < n_items / 2:
        raise InputError(f"{n_items} items are too few to hold some out")
    drawn = np.random.default_rng([seed, 2]).permutation(n_items)
    return np.sort(drawn[2 * n :]), np.sort(drawn[:n]), np.sort(drawn[n : 2 * n])


def cold_case(held: HeldOut, warm: Items, cold: Items) -> Case:
    """People who have warm items and some of `cold`, which are to be found among all of `cold`."""
    whole = csr_matrix(held.fold_in + held.target).sign()
    return _case(held.users, whole[:, warm], whole[:, cold])


def warm_case(held: HeldOut, warm: Items) -> Case:
    """The usual work, among warm items alone."""
    return _case(held.users, csr_matrix(held.fold_in).sign()[:, warm], held.target[:, warm])


def _case(users: list[str], histories: csr_matrix, target: csr_matrix) -> Case:
    rows = np.flatnonzero((np.diff(histories.indptr) > 0) & (np.diff(target.indptr) > 0))
    return Case([users[row] for row in rows], histories[rows], target[rows])


def measured(scores: Array, case: Case, seen: csr_matrix | None = None) -> Measured:
    """Rank the items of `case.target` by `scores` (N, C)."""
    k = min(K, scores.shape[1])
    hits, n = find_hits(top_k(np.asarray(scores, np.float64), k, seen)[0], case.target)
    return Measured(case.users, ndcg(hits, n), recall(hits, n))


class ColdItems:
    """The simpler ways to score items by what they are, from warm items and their counts (W,)."""

    def __init__(self, features: Features, warm: Items, counts: NDArray[np.integer]) -> None:
        self.warm, self.counts = features.of(warm), counts
        rare = np.log(len(warm) / np.maximum(1, np.asarray(self.warm.grams.sum(axis=0)).ravel()))
        self._rare = diags(rare.astype(np.float32))
        self._vectors = self.vectors(self.warm)

    def vectors(self, features: Features) -> csr_matrix:
        """Unit rows of n-grams, each weighed by the logarithm of how rare it is among warm items."""
        rows: Any = unit_rows(csr_matrix(features.grams @ self._rare))
        return rows

    def cosines(self, features: Features) -> Array:
        """Cosines (C, W) of items with the warm ones."""
        found: Any = self.vectors(features) @ self._vectors.T
        return found.toarray()

    def band_popularity(self, features: Features) -> Array:
        """The mean count of the warm items in an item's price band, (C,)."""
        n = self.warm.n_bands
        total, size = (np.bincount(self.warm.band, w, n) for w in (self.counts, None))
        return (total / np.maximum(size, 1))[features.band]

    def neighbour_popularity(self, features: Features) -> Array:
        """The mean count of the nearest warm names, weighed by their cosine, (C,)."""
        cos = self.cosines(features)
        nearest = np.argsort(-cos, axis=1, kind="stable")[:, :NEIGHBOURS]
        weight = np.take_along_axis(cos, nearest, axis=1)
        return (weight * self.counts[nearest]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)

    def neighbours(self, histories: csr_matrix, features: Features, sharpness: float) -> Array:
        """sum over the history of cos^sharpness, (N, C).   [eq:content-neighbours]"""
        return np.asarray(histories @ np.ascontiguousarray(self.cosines(features).T ** sharpness))


def standard(scores: Array) -> Array:
    """Each row at mean 0 and variance 1; a row of equal scores at 0."""
    off = scores - scores.mean(axis=1, keepdims=True)
    std = off.std(axis=1, keepdims=True)
    return off / np.where(std > 0, std, 1)


class Found(NamedTuple):
    """What one division of the items gave: figures by way of scoring, of cold and of warm items; choices."""

    cold: dict[str, Measured]
    warm: dict[str, Measured]
    chosen: dict[str, Any]
    generator: FeatureGenerator
    model: Any


def run(
    split: Split,
    features: Features,
    make: Callable[[int], Any],
    seed: int,
    hidden: tuple[int, ...] = (0, 256),
) -> Found:
    """Hold items out, train `make(seed)` and generators of `hidden` units without them, choose, measure.

    Choices (hidden units, powers, prices, weights) are by validation users and the first set of items; test
    users and the second set are measured once.  Raises InputError for a split without validation users.
    """
    if split.validation is None:
        raise InputError("the split has no validation users to choose by")
    warm, first, second = split_items(len(split.items), seed)
    train, held = split.train[:, warm], split.validation
    stop_by = HeldOut(held.fold_in[:, warm], held.target[:, warm], held.users)
    model = make(seed).fit(train, stop_by)
    simple = ColdItems(features, warm, np.bincount(train.indices, minlength=len(warm)))
    choose, case = cold_case(held, warm, first), cold_case(split.test, warm, second)
    some, others = features.of(first), features.of(second)

    def score(scores: Array) -> float:
        return float(measured(scores, choose).ndcg.mean())

    z = model.posterior(choose.histories)[0]
    generators = [FeatureGenerator(h, seed=seed).fit(model, train, simple.warm) for h in hidden]
    generator, power, price = max(
        product(generators, POWERS, PRICES), key=lambda c: score(c[0].lift(z, some, c[1], c[2]))
    )
    sharp = max(SHARPNESS, key=lambda s: score(simple.neighbours(choose.histories, some, s)))
    near = standard(simple.neighbours(choose.histories, some, sharp))
    lift = standard(generator.lift(z, some, power, price))
    weight = max(WEIGHTS, key=lambda w: score(near + w * lift))

    z = model.posterior(case.histories)[0]
    scores = dict(_same_for_all(simple, others, len(case.users), seed))
    scores[KNN] = simple.neighbours(case.histories, others, sharp)
    scores[GENERATOR] = generator.lift(z, others, power, price)
    scores[BOTH] = standard(scores[KNN]) + weight * standard(scores[GENERATOR])
    chosen = {
        "hidden": generator.hidden,
        "power": power,
        "price": price,
        "sharpness": sharp,
        "weight": weight,
    }
    cold = {name: measured(s, case) for name, s in scores.items()}
    retrieved = _retrieve(simple, generator, model, warm_case(split.test, warm), chosen, seed)
    return Found(cold, dict(retrieved), chosen, generator, model)


def _same_for_all(simple: ColdItems, features: Features, n: int, seed: int) -> Iterator[tuple[str, Array]]:
    rng = np.random.default_rng([seed, 3])
    yield "chance", rng.random((n, len(features.band)))
    yield "popularity of the price band", np.tile(simple.band_popularity(features), (n, 1))
    yield "popularity of the nearest names", np.tile(simple.neighbour_popularity(features), (n, 1))


def _retrieve(
    simple: ColdItems, generator: FeatureGenerator, model: Any, case: Case, chosen: dict[str, Any], seed: int
) -> Iterator[tuple[str, Measured]]:
    """Which of the warm items the generated features find again: their mean, and ten draws of them."""
    mu, log_var = model.posterior(case.histories)
    rng = np.random.default_rng([seed, 4])
    drawn = np.zeros(case.histories.shape)
    for _ in range(DRAWS):
        z = mu + np.exp(log_var / 2) * rng.standard_normal(mu.shape, dtype=np.float32)
        bits, band = generator.draw(z, rng)
        made = Features(csr_matrix(bits.astype(np.float32)), band, simple.warm.n_bands)
        drawn += simple.cosines(made)
    scores = {
        "popularity": np.tile(simple.counts, (len(case.users), 1)),
        "drawn features": drawn,
        GENERATOR: generator.lift(mu, simple.warm, chosen["power"], chosen["price"]),
        KNN: simple.neighbours(case.histories, simple.warm, chosen["sharpness"]),
        model.id: model.score(case.histories),
    }
    for name, values in scores.items():
        yield name, measured(values, case, case.histories)
