"""Metrics of ranked lists: per user from hits, over the catalogue from counts.

Those of a user raise ValueError where shapes do not fit, or somebody has no target.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.errors import InputError
from minigen.ops.checks import want_shape
from minigen.ops.sparse import row_of_each
from minigen.typing import CSR

Hits = NDArray[np.bool_]  # (N, k): is the item at this rank a target of the user
Counts = NDArray[np.integer]  # (N,): targets per user, |T|; or (M,): recommendations per item
PerUser = NDArray[np.float64]  # (N,)


def _want_fit(hits: Hits, n_target: Counts) -> None:
    """Raise ValueError unless every user has a list and a target: no metric says anything without one."""
    want_shape("hits", hits, (None, None))
    want_shape("n_target", n_target, (len(hits),))
    if not np.all(n_target > 0):
        raise ValueError(f"n_target: want at least 1 for each user, got {n_target.min()}")


def recall(hits: Hits, n_target: Counts) -> PerUser:
    """hits / |T|.   [eq:recall]"""
    _want_fit(hits, n_target)
    return hits.sum(axis=1) / n_target


def recall_min(hits: Hits, n_target: Counts) -> PerUser:
    """hits / min(k, |T|): 1 for the best list of length k.   [eq:recall-min]

    Liang et al. 2018, section 4.2.
    """
    _want_fit(hits, n_target)
    return hits.sum(axis=1) / np.minimum(hits.shape[1], n_target)


def precision(hits: Hits, n_target: Counts) -> PerUser:
    """hits / k; a shorter list misses at the places it leaves empty.   [eq:precision]"""
    _want_fit(hits, n_target)
    return hits.mean(axis=1)


def hit(hits: Hits, n_target: Counts) -> PerUser:
    """1 where the list has any hit, else 0."""
    _want_fit(hits, n_target)
    return hits.max(axis=1).astype(np.float64)


def mrr(hits: Hits, n_target: Counts) -> PerUser:
    """1 / rank of the first hit, counted from 1; 0 without a hit.   [eq:mrr]"""
    _want_fit(hits, n_target)
    return hits.any(axis=1) / (1.0 + hits.argmax(axis=1))


def average_precision(hits: Hits, n_target: Counts) -> PerUser:
    """sum over ranks r with a hit of (hits up to r) / r, over |T|; its mean is MAP.   [eq:map]

    The denominator is |T|, not min(k, |T|), as in trec_eval's map_cut.
    """
    _want_fit(hits, n_target)
    precision_at = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precision_at * hits).sum(axis=1) / n_target


def ndcg(hits: Hits, n_target: Counts) -> PerUser:
    """DCG = sum over ranks r with a hit of 1 / log2(r + 1), over that of the best list of k.   [eq:ndcg]

    The best list begins with min(k, |T|) hits; gains are 0 or 1.  Järvelin & Kekäläinen 2002.
    """
    _want_fit(hits, n_target)
    k = hits.shape[1]
    gain = 1 / np.log2(np.arange(2, k + 2))
    return hits @ gain / np.cumsum(gain)[np.minimum(k, n_target) - 1]


def novelty(ranked: NDArray[np.integer], popularity: Counts, n_users: int) -> PerUser:
    """Mean over the list of -log2(popularity / n_users), in bits.   [eq:novelty]

    popularity (M,) counts the training users of each item; an item without any counts as one of 1 user.
    0 for an empty list.  Zhou et al. 2010.
    """
    bits = np.log2(n_users) - np.log2(np.maximum(popularity, 1))
    real = ranked >= 0
    return (bits[ranked] * real).sum(axis=1) / np.maximum(real.sum(axis=1), 1)


def coverage(counts: Counts) -> float:
    """Share of the M items that are in any list; counts (M,) tells in how many each item is."""
    return float(np.mean(counts > 0))


def gini(counts: Counts) -> float:
    """sum_j (2j - M - 1) c_j / (M sum_j c_j), counts c (M,) ascending, j from 1.   [eq:gini]

    0 where all items are in equally many lists, (M - 1) / M where one item is in all.
    """
    c = np.sort(counts)
    m = c.size
    return float((2 * np.arange(1, m + 1) - m - 1) @ c / (m * max(c.sum(), 1)))


PER_USER: dict[str, Callable[[Hits, Counts], PerUser]] = {
    "recall": recall,
    "recall_min": recall_min,
    "precision": precision,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": average_precision,
    "hit": hit,
}
CATALOGUE: dict[str, Callable[[Counts], float]] = {"coverage": coverage, "gini": gini}
NAMES = (*PER_USER, "novelty", *CATALOGUE)


class Metric(NamedTuple):
    """A metric at a list length: "ndcg@100" is ("ndcg", 100)."""

    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"


def parse_metric(text: str) -> Metric:
    """Read a name such as "ndcg@100".  Raises InputError for one that does not exist."""
    found = re.fullmatch(r"([a-z_]+)@([1-9][0-9]{0,8})", text.strip())
    if not found or found[1] not in NAMES:
        known = ", ".join(f"{name}@k" for name in NAMES)
        raise InputError(f"unknown metric {text!r}: want one of {known}, with k of 1 or more")
    return Metric(found[1], int(found[2]))


def find_hits(ranked: NDArray[np.integer], target: CSR) -> tuple[Hits, NDArray[np.int64]]:
    """Which ranks hit, (N, K), and how many targets each user has, (N,).

    ranked (N, K) holds distinct items, best first, -1 where there is none; target CSR (N, M), positive
    entries are the targets.  Raises ValueError where shapes do not fit, an item is out of range or twice
    in a list, or a user has no target: no metric says anything about such a user.
    """
    want_shape("ranked", ranked, (target.shape[0], None))
    n_users, n_items = target.shape
    if ranked.size and not (ranked.min() >= -1 and ranked.max() < n_items):
        raise ValueError(f"ranked: want items from 0 to {n_items - 1}, or -1 for none")
    in_order = np.sort(ranked, axis=1)
    if ((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)).any():
        raise ValueError("ranked: an item stands twice in a list")
    # One number for a (user, item) pair; -1 would be the last item of the user before, hence the mask.
    pairs = np.unique((row_of_each(target) * n_items + target.indices)[target.data > 0])
    n_target = np.bincount(pairs // n_items, minlength=n_users)
    if not n_target.all():
        raise ValueError(f"target: user {n_target.argmin()} has none; leave such users out")
    wanted = np.arange(n_users)[:, None] * n_items + ranked
    return np.isin(wanted, pairs) & (ranked >= 0), n_target
