"""Metrics: worked by hand, against a slow independent reading of the formulas, and their properties."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.evaluation.metrics import (
    NAMES,
    PER_USER,
    Metric,
    coverage,
    find_hits,
    gini,
    novelty,
    parse_metric,
)


def rows_of(targets: list[set[int]], n_items: int) -> csr_matrix:
    dense = np.zeros((len(targets), n_items), dtype=np.float32)
    for u, wanted in enumerate(targets):
        dense[u, list(wanted)] = 1 + u
    return csr_matrix(dense)


def measure(name: str, ranked: np.ndarray, target: csr_matrix, k: int) -> np.ndarray:
    hits, n_target = find_hits(ranked, target)
    return PER_USER[name](hits[:, :k], n_target)


def slowly(name: str, ranking: list[int], wanted: set[int], k: int) -> float:
    """One user, one rank after the other."""
    ranking = [item for item in ranking if item != -1][:k]
    found = 0
    gain = precisions = first = 0.0
    for rank, item in enumerate(ranking, 1):
        if item in wanted:
            found += 1
            gain += 1 / log2(rank + 1)
            precisions += found / rank
            first = first or 1 / rank
    best = sum(1 / log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1))
    return {
        "recall": found / len(wanted),
        "recall_min": found / min(k, len(wanted)),
        "precision": found / k,
        "ndcg": gain / best,
        "mrr": first,
        "map": precisions / len(wanted),
        "hit": float(found > 0),
    }[name]


@st.composite
def cases(draw) -> tuple[np.ndarray, list[set[int]], int, int]:
    """Ranked lists (some cut short by -1), targets, the number of items, k."""
    n_items = draw(st.integers(2, 12))
    length = draw(st.integers(1, n_items))
    n_users = draw(st.integers(1, 4))
    lists, targets = [], []
    for _ in range(n_users):
        cut = draw(st.integers(0, length))
        lists.append(draw(st.permutations(range(n_items)))[:cut] + [-1] * (length - cut))
        targets.append(draw(st.sets(st.integers(0, n_items - 1), min_size=1)))
    return np.array(lists), targets, n_items, draw(st.integers(1, length))


# Targets {1, 4, 6}; the list hits at ranks 2 and 4.
BY_HAND = {
    "recall": 2 / 3,
    "recall_min": 2 / 3,
    "precision": 2 / 5,
    "ndcg": (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3) + 1 / log2(4)),
    "mrr": 1 / 2,
    "map": (1 / 2 + 2 / 4) / 3,
    "hit": 1.0,
}


def test_every_metric_by_hand() -> None:
    ranked, target = np.array([[0, 4, 2, 1, 3]]), rows_of([{1, 4, 6}], 7)
    assert {name: measure(name, ranked, target, 5).item() for name in PER_USER} == pytest.approx(BY_HAND)
    assert set(NAMES) == {*BY_HAND, "novelty", "coverage", "gini"}


def test_recalls_differ_only_in_their_denominator() -> None:
    ranked, target = np.array([[0, 1]]), rows_of([{0, 1, 2, 3}], 5)
    assert measure("recall", ranked, target, 2).tolist() == [0.5]
    assert measure("recall_min", ranked, target, 2).tolist() == [1.0]


@settings(deadline=None)
@given(case=cases(), name=st.sampled_from(list(PER_USER)))
def test_equals_the_slow_reading(case, name) -> None:
    ranked, targets, n_items, k = case
    fast = measure(name, ranked, rows_of(targets, n_items), k)
    slow = [slowly(name, row.tolist(), wanted, k) for row, wanted in zip(ranked, targets)]
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-13)
    assert fast.dtype == np.float64
    assert fast.min() >= 0
    assert fast.max() <= 1 + 1e-12


@settings(deadline=None)
@given(case=cases())
def test_longer_lists_find_no_less(case) -> None:
    ranked, targets, n_items, _ = case
    target, ks = rows_of(targets, n_items), range(1, ranked.shape[1] + 1)
    for name in ("recall", "hit", "mrr", "map"):
        by_k = [measure(name, ranked, target, k) for k in ks]
        roundoff = 1e-15 if name == "map" else 0  # the only sum of fractions
        assert np.diff(by_k, axis=0).min(initial=0) >= -roundoff, name


@settings(deadline=None)
@given(wanted=st.sets(st.integers(0, 9), min_size=1, max_size=9), k=st.integers(1, 10))
def test_the_perfect_list_gets_1(wanted, k) -> None:
    ranked = np.array([[*sorted(wanted), *sorted(set(range(10)) - wanted)]])
    for name in ("recall_min", "ndcg", "mrr", "hit", *(["recall", "map"] if k >= len(wanted) else [])):
        assert measure(name, ranked, rows_of([wanted], 10), k) == pytest.approx(1, abs=1e-12), name


def test_hits_read_any_csr() -> None:
    """Unsorted, doubled and zero entries: a target is what is above zero, once."""
    data, items = np.array([1.0, 1.0, 2.0, 0.0]), np.array([3, 1, 3, 0])
    target = csr_matrix((data, items, np.array([0, 4, 4])), shape=(2, 4))[:1]
    hits, n_target = find_hits(np.array([[3, 0, -1, 1]]), target)
    assert hits.tolist() == [[True, False, False, True]]
    assert n_target.tolist() == [2]


def test_padding_is_not_the_last_item_of_the_user_before() -> None:
    hits, _ = find_hits(np.array([[0, 1], [1, -1]]), rows_of([{2}, {0}], 3))
    assert not hits.any()


@pytest.mark.parametrize(
    ("ranked", "targets", "message"),
    [
        ([[0, 0]], [{1}], "twice"),
        ([[2, 1, 0, 1]], [{1}], "twice"),
        ([[0, 3]], [{1}], "from 0 to 2"),
        ([[0, -2]], [{1}], "from 0 to 2"),
        ([[0, 1], [1, 2]], [{1}, set()], "user 1 has none"),
        ([[0, 1]], [{1}, {2}], "shape"),
    ],
)
def test_hits_refuse(ranked, targets, message) -> None:
    with pytest.raises(ValueError, match=message):
        find_hits(np.array(ranked), rows_of(targets, 3))


@pytest.mark.parametrize("name", PER_USER)
def test_every_metric_wants_a_count_of_targets_a_user(name) -> None:
    hits = np.ones((3, 2), bool)
    with pytest.raises(ValueError, match=r"n_target: want shape \(3\), got \(1,\)"):
        PER_USER[name](hits, np.array([4]))
    with pytest.raises(ValueError, match=r"hits: want shape \(any, any\), got \(2,\)"):
        PER_USER[name](hits[0], np.array([4]))
    with pytest.raises(ValueError, match="n_target: want at least 1 for each user, got 0"):
        PER_USER[name](hits, np.array([4, 0, 1]))


def test_novelty_by_hand() -> None:
    popularity = np.array([8, 2, 0, 4])  # of 8 users: 0, 2, 3 and 1 bits
    ranked = np.array([[0, 1], [2, -1], [3, 2], [-1, -1]])
    assert novelty(ranked, popularity, 8).tolist() == pytest.approx([1, 3, 2, 0])


def test_coverage_and_gini_by_hand() -> None:
    assert coverage(np.array([0, 3, 1, 0])) == 0.5
    assert gini(np.array([0, 3, 1, 0])) == pytest.approx((1 * 1 + 3 * 3) / (4 * 4))
    assert gini(np.array([2, 2, 2])) == 0
    assert gini(np.array([0, 7, 0, 0])) == gini(np.array([0, 1, 0, 0])) == 0.75
    assert gini(np.zeros(3, dtype=int)) == 0


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_gini_is_the_mean_difference_of_pairs(counts) -> None:
    c = np.array(counts)
    pairs = np.abs(c[:, None] - c).sum() / (2 * c.size * max(c.sum(), 1))
    assert gini(c) == pytest.approx(pairs, abs=1e-12)


def test_names_are_read() -> None:
    assert parse_metric(" ndcg@100") == Metric("ndcg", 100)
    assert str(Metric("recall_min", 20)) == "recall_min@20"


@pytest.mark.parametrize(
    "text", ["", "ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@1.5", "NDCG@5", "auc@5", "ndcg@٣"]
)
def test_other_names_are_refused(text) -> None:
    with pytest.raises(InputError, match=r"want one of recall@k, .*gini@k") as error:
        parse_metric(text)
    assert "\n" not in str(error.value)
