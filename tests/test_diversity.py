"""Variety: maximal marginal relevance by hand, and the distance within a list."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from minigen.application import weights
from minigen.application.diversity import intra_list_distance, pool_cosines, unit_rows
from minigen.application.diversity import rerank as rerank_pools
from minigen.application.ranking import Application
from minigen.data import HeldOut
from minigen.recommender import EASE

ANGLES = np.radians([0, 10, 90, 100, 200])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
ITEMS = np.array([[0, 1, 2, 4, 3]])
SCORES = np.array([[4.0, 3.9, 3.0, 2.0, 0.0]])


def rerank(items, scores, weight, k):
    return rerank_pools(items, scores, pool_cosines(items, VECTORS), weight, k)


def by_hand(weight: float, k: int) -> list[int]:
    """Every step as the equation says it."""
    rel = dict(zip(ITEMS[0].tolist(), (SCORES[0] / 4).tolist()))
    chosen: list[int] = []
    while len(chosen) < k:
        rest = [i for i in ITEMS[0].tolist() if i not in chosen]
        near = {i: max((VECTORS[i] @ VECTORS[j] for j in chosen), default=0) for i in rest}
        chosen.append(max(rest, key=lambda i: (1 - weight) * rel[i] - weight * near[i]))
    return chosen


@pytest.mark.parametrize("weight", [0.0, 0.1, 0.3, 0.5, 0.8, 1.0])
def test_each_step_is_the_equation(weight):
    items, scores = rerank(ITEMS, SCORES, weight, 5)
    assert items[0].tolist() == by_hand(weight, 5)
    own = dict(zip(ITEMS[0].tolist(), SCORES[0].tolist()))
    assert scores[0].tolist() == [own[i] for i in items[0].tolist()]


def test_no_weight_leaves_the_order_and_full_weight_takes_the_farthest():
    assert rerank(ITEMS, SCORES, 0.0, 3)[0][0].tolist() == [0, 1, 2]
    assert rerank(ITEMS, SCORES, 1.0, 2)[0][0].tolist() == [0, 4]  # 160 degrees away


def test_level_and_scale_of_scores_have_no_meaning():
    wanted = rerank(ITEMS, SCORES, 0.4, 4)[0]
    np.testing.assert_array_equal(rerank(ITEMS, 7 * SCORES - 90, 0.4, 4)[0], wanted)


def test_short_pools_end_in_nothing_and_equal_scores_are_alike():
    items = np.array([[0, 1, 2, -1, -1], [-1, -1, -1, -1, -1], [0, 1, 2, 3, 4]])
    scores = np.array([[2.0, 1, 0, -np.inf, -np.inf], [-np.inf] * 5, [1.0] * 5])
    found, best = rerank(items, scores, 0.5, 4)
    assert found[0, 3] == -1
    assert np.isneginf(best[0, 3])
    assert found[1].tolist() == [-1] * 4
    assert found[2, :2].tolist() == [0, 4]
    with pytest.raises(ValueError, match="between 0 and 1"):
        rerank(items, scores, 1.2, 2)
    with pytest.raises(ValueError, match="want 1 to 5"):
        rerank(items, scores, 0.2, 6)


def test_the_distance_within_a_list_by_hand():
    ranked = np.array([[0, 2, 4], [0, 1, -1], [3, -1, -1], [-1, -1, -1]])
    cos = [[VECTORS[i] @ VECTORS[j] for i, j in pairs] for pairs in ([(0, 2), (0, 4), (2, 4)], [(0, 1)])]
    wanted = [1 - np.mean(cos[0]), 1 - np.mean(cos[1]), 0, 0]
    np.testing.assert_allclose(intra_list_distance(ranked, VECTORS), wanted, atol=1e-12)
    np.testing.assert_allclose(intra_list_distance(ranked, sparse.csr_matrix(VECTORS)), wanted, atol=1e-12)


def test_sparse_and_dense_rows_reach_length_1_and_zeros_stay():
    dense = np.array([[3.0, 4], [0, 0], [0, 2]])
    wanted = [[0.6, 0.8], [0, 0], [0, 1]]
    np.testing.assert_allclose(unit_rows(dense), wanted)
    np.testing.assert_allclose(unit_rows(sparse.csr_matrix(dense)).toarray(), wanted)


def test_variety_costs_relevance_and_the_weight_chosen_keeps_to_its_price(rng):
    train = sparse.csr_matrix((rng.random((300, 40)) < np.geomspace(0.5, 0.05, 40)).astype(np.float32))
    model = EASE(5.0).fit(train)
    shown = train[:100].copy()
    hide = rng.random(shown.nnz) < 0.3
    target = shown.copy()
    target.data, shown.data = hide.astype(np.float32), (~hide).astype(np.float32)
    for part in (target, shown):
        part.eliminate_zeros()
    alive = np.flatnonzero((np.diff(target.indptr) > 0) & (np.diff(shown.indptr) > 0))
    held = HeldOut(shown[alive], target[alive], [str(n) for n in alive])
    vectors = unit_rows(sparse.csr_matrix(train.T))
    trials = weights.diversity_trials(model, vectors, held, 5)
    distances = [intra_list_distance(trial.items, vectors).mean() for trial in trials]
    assert distances[-1] > distances[0] + 0.02
    chosen = weights.most_varied(trials, 0.1)
    assert chosen.ndcg.mean() >= 0.9 * weights.best(trials).ndcg.mean()
    assert all(
        t.ndcg.mean() < 0.9 * weights.best(trials).ndcg.mean() for t in trials if t.value > chosen.value
    )
    plain, varied = (
        Application(model, diversity=w, vectors=vectors).recommend(held.fold_in, 5)[0] for w in (0.0, 0.8)
    )
    gain = intra_list_distance(varied, vectors).mean() - intra_list_distance(plain, vectors).mean()
    assert gain == pytest.approx(distances[-1] - distances[0])
