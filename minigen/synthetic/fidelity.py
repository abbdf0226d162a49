"""How true synthetic users are to real ones, each figure beside that of real users in their place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.data.interactions import HeldOut
from minigen.evaluation.evaluate import evaluate
from minigen.evaluation.metrics import PerUser
from minigen.recommender.base import Recommender
from minigen.recommender.baselines import EASE
from minigen.synthetic.chain import ks_distance
from minigen.typing import Array

COOCCURRENCE = 200  # most popular items, whose pairs are counted
L2 = (30.0, 100.0, 300.0, 1000.0)  # of EASE, chosen on validation


def popularity_distance(a: csr_matrix, b: csr_matrix) -> float:
    """Total variation of the shares that items have of all clicks.   [eq:popularity-distance]"""
    shares = [np.bincount(x.indices, minlength=x.shape[1]) / max(x.nnz, 1) for x in (a, b)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def cooccurrence_distance(a: csr_matrix, b: csr_matrix, items: NDArray[np.intp]) -> float:
    """|C_a - C_b| / |C_b|, C the cosines of pairs of `items`, without the diagonal.   [eq:cooccurrence]"""
    one, other = (_cosines(x[:, items]) for x in (a, b))
    return float(np.linalg.norm(one - other)) / max(float(np.linalg.norm(other)), 1e-12)


def distances(a: csr_matrix, b: csr_matrix, items: NDArray[np.intp]) -> dict[str, float]:
    """Of histories `a` from `b`: popularity, lengths (KS), co-occurrence of pairs of `items`; 0 is alike."""
    return {
        "popularity": popularity_distance(a, b),
        "lengths": ks_distance(np.diff(a.indptr).astype(float), np.diff(b.indptr).astype(float)),
        "cooccurrence": cooccurrence_distance(a, b, items),
    }


def popular_items(x: csr_matrix) -> NDArray[np.intp]:
    """The `COOCCURRENCE` items that most users have."""
    return np.argsort(-np.bincount(x.indices, minlength=x.shape[1]), kind="stable")[:COOCCURRENCE]


def trained_on(rows: csr_matrix, validation: HeldOut, test: HeldOut, metric: str) -> tuple[PerUser, float]:
    """`metric` (N,) of the test people by EASE trained on `rows`, and its l2, chosen on real validation."""
    models: list[Recommender] = [EASE(l2=l2).fit(rows) for l2 in L2]
    scores = [evaluate(model, validation, (metric,)).mean(metric) for model in models]
    best = int(np.argmax(scores))
    return evaluate(models[best], test, (metric,)).per_user[metric], L2[best]


def _cosines(x: csr_matrix) -> Array:
    gram = (x.T @ x).toarray().astype(np.float64)
    length = np.sqrt(np.maximum(np.diag(gram), 1e-12))
    cosines = gram / length / length[:, None]
    np.fill_diagonal(cosines, 0)
    return cosines
