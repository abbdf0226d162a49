"""A model on held-out users, and two models against each other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from minigen.backends import load
from minigen.data.interactions import HeldOut
from minigen.errors import InputError
from minigen.evaluation.bootstrap import paired_bootstrap
from minigen.evaluation.evaluate import evaluate

DATA = Path(os.environ.get("MINIGEN_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")


class Linear:
    """Scores x B, and remembers how many rows it was asked for at a time."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights
        self.batches: list[int] = []

    def score(self, histories: csr_matrix) -> np.ndarray:
        self.batches.append(histories.shape[0])
        return histories @ self.weights


def random_held(n: int = 23, m: int = 12, seed: int = 0) -> HeldOut:
    rng = np.random.default_rng(seed)
    taste = rng.random((n, m))
    shown, target = taste < 0.3, (taste >= 0.3) & (taste < 0.6)
    shown[:, 0], target[:, 0], target[:, 1], shown[:, 1] = True, False, True, False
    return HeldOut(csr_matrix(shown * 1.0), csr_matrix(target * 1.0), [f"u{row}" for row in range(n)])


def random_model(m: int = 12, seed: int = 1) -> Linear:
    return Linear(np.random.default_rng(seed).standard_normal((m, m)))


def test_by_hand() -> None:
    held = HeldOut(csr_matrix(np.eye(2, 4)), csr_matrix([[0, 1, 1, 0], [0, 0, 0, 1.0]]), ["a", "b"])
    order = Linear(np.tile([4.0, 3.0, 2.0, 1.0], (4, 1)))  # lists: 1 2 3 and 0 2 3
    train = csr_matrix([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 1], [1, 0, 0, 0.0]])  # item 0: 4 of 4 users
    metrics = ("recall@2", "recall_min@1", "precision@3", "mrr@3", "novelty@1", "coverage@1", "gini@1")
    result = evaluate(order, held, metrics, train=train)
    assert result.per_user["recall@2"].tolist() == [1, 0]
    assert result.per_user["recall_min@1"].tolist() == [1, 0]
    assert result.per_user["precision@3"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert result.per_user["mrr@3"].tolist() == pytest.approx([1, 1 / 3])
    assert result.per_user["novelty@1"].tolist() == [1, 0]
    assert result.catalogue == {"coverage@1": 0.5, "gini@1": 0.5}
    assert result.mean("recall@2") == 0.5
    assert result.se("recall@2") == pytest.approx(np.sqrt(0.5) / np.sqrt(2))
    row = result.row("ease", "baseline", {"l2": 1.0}, split="x")
    assert list(row) == ["model", "family", "settings", "users", "split", "metrics", "se"]
    assert set(row["metrics"]) == set(metrics)
    assert set(row["se"]) == set(result.per_user)
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_batches_change_nothing_but_memory() -> None:
    held, names = random_held(), ("ndcg@5", "map@7", "gini@3", "coverage@2")
    one, many = random_model(), random_model()
    whole, parts = evaluate(one, held, names), evaluate(many, held, names, batch=4)
    assert one.batches == [23]
    assert many.batches == [4, 4, 4, 4, 4, 3]
    np.testing.assert_array_equal(whole.per_user["ndcg@5"], parts.per_user["ndcg@5"])
    np.testing.assert_array_equal(whole.per_user["map@7"], parts.per_user["map@7"])
    assert whole.catalogue == parts.catalogue


def test_the_models_own_backend_ranks_and_no_figure_changes() -> None:
    held, names = random_held(40, 3000), ("ndcg@16", "recall@20", "coverage@3")
    by_numpy, by_numba = (random_model(3000) for _ in range(2))
    for model in (by_numpy, by_numba):
        model.weights = np.round(model.weights)  # many equal scores
    ranked = []

    def top_k(scores, k, seen):
        ranked.append(k)
        return load("numba").top_k(scores, k, seen)

    by_numba.ops = SimpleNamespace(name="numba", top_k=top_k)
    one, other = evaluate(by_numpy, held, names), evaluate(by_numba, held, names)
    assert ranked == [20]
    for name, values in one.per_user.items():
        np.testing.assert_array_equal(other.per_user[name], values, err_msg=name)
    assert other.catalogue == one.catalogue


def test_seen_items_are_left_out_unless_wanted() -> None:
    held = HeldOut(csr_matrix([[1.0, 0, 0]]), csr_matrix([[0, 1.0, 0]]), ["a"])
    order = Linear(np.tile([3.0, 2.0, 1.0], (3, 1)))
    assert evaluate(order, held, ("mrr@3",)).mean("mrr@3") == 1
    assert evaluate(order, held, ("mrr@3",), exclude_seen=False).mean("mrr@3") == 0.5


def test_users_without_targets_are_dropped() -> None:
    held = random_held()
    target = held.target.copy()
    target.data[target.indptr[3] : target.indptr[4]] = 0  # stored zeros are no targets either
    full = evaluate(random_model(), held, ("ndcg@5",))
    result = evaluate(random_model(), HeldOut(held.fold_in, target, held.users), ("ndcg@5",), batch=2)
    assert result.users == held.users[:3] + held.users[4:]
    np.testing.assert_array_equal(result.per_user["ndcg@5"], np.delete(full.per_user["ndcg@5"], 3))


def test_one_user_has_no_standard_error() -> None:
    held = random_held(n=1)
    result = evaluate(random_model(), held, ("hit@5",))
    assert np.isnan(result.se("hit@5"))
    assert result.row("m", "baseline", {})["se"] == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": ("auc@5",)}, "unknown metric"),
        ({"metrics": ()}, "no metric"),
        ({"metrics": ("ndcg@13",)}, "catalogue has 12 items"),
        ({"metrics": ("novelty@3",)}, "training matrix"),
        ({"batch": 0}, "batch"),
        ({"train": csr_matrix((5, 9))}, "train has 9 items"),
        ({"model": Linear(np.full((12, 12), np.nan))}, "NaN"),
        ({"model": Linear(np.ones((12, 5)))}, "scores of shape"),
        ({"held": HeldOut(csr_matrix((2, 12)), csr_matrix((2, 12)), ["a", "b"])}, "anything to be found"),
    ],
)
def test_refuses(changes, message) -> None:
    good = {"model": random_model(), "held": random_held(), "metrics": ("ndcg@5",)}
    with pytest.raises(InputError, match=message):
        evaluate(**good | changes)


def test_bootstrap_standard_error_is_that_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(400), rng.random(400)
    found = paired_bootstrap(a, b)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.se == pytest.approx((a - b).std() / np.sqrt(400), rel=0.03)
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.se, rel=0.05)
    assert found == paired_bootstrap(a, b)
    assert found != paired_bootstrap(a, b, seed=1)


def test_bootstrap_pairs_users() -> None:
    """Users differ by 10, the models by .1 +- .1 on each user: only pairs can tell."""
    rng = np.random.default_rng(0)
    b = rng.normal(0, 10, 200)
    a = b + rng.normal(0.1, 0.1, 200)
    found = paired_bootstrap(a, b)
    assert found.se == pytest.approx(0.1 / np.sqrt(200), rel=0.15)
    assert 0 < found.low < 0.1 < found.high
    assert found.p_value == 1 / 10_001


def test_bootstrap_interval_covers_at_its_level() -> None:
    rng = np.random.default_rng(0)
    truth, covered, signalled = 0.3, 0, 0
    for seed in range(400):
        d = truth + rng.exponential(1.0, 60) - 1
        found = paired_bootstrap(d, np.zeros(60), n=500, seed=seed, level=0.9)
        covered += found.low <= truth <= found.high
        signalled += paired_bootstrap(d - truth, np.zeros(60), n=500, seed=seed).p_value < 0.1
    assert 0.85 < covered / 400 < 0.95
    assert 0.05 < signalled / 400 < 0.15  # equal models look different as often as p says


def test_bootstrap_counts_ties_whatever_the_unit() -> None:
    """Means of few hits often tie with the observed one: thirds must count them as whole numbers do."""
    hits = np.random.default_rng(20).integers(-1, 3, 20).astype(float)
    whole, thirds = (paired_bootstrap(unit * hits, np.zeros(20)) for unit in (1, 1 / 3))
    assert thirds.p_value == whole.p_value


def test_bootstrap_of_equal_models() -> None:
    a = np.random.default_rng(0).random(50)
    assert paired_bootstrap(a, a) == (0, 0, 0, 0, 1)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (np.ones(3), np.ones(4), {}, "same users"),
        (np.ones((3, 1)), np.ones((3, 1)), {}, "same users"),
        (np.ones(1), np.ones(1), {}, "2 or more"),
        (np.array([1, np.nan]), np.ones(2), {}, "finite"),
        (np.ones(3), np.ones(3), {"n": 1}, "2 draws"),
        (np.ones(3), np.ones(3), {"level": 1.0}, "level"),
    ],
)
def test_bootstrap_refuses(a, b, options, message) -> None:
    with pytest.raises(InputError, match=message):
        paired_bootstrap(a, b, **options)


# EASE at lambda 300 on the ML-100K split of Chae et al. 2018, as three libraries have it.
KNOWN = {
    "ndcg@5": 0.480779,
    "ndcg@20": 0.436981,
    "ndcg@100": 0.528608,
    "precision@5": 0.446448,
    "precision@20": 0.293266,
    "recall@5": 0.154366,
    "recall@20": 0.354722,
    "recall@50": 0.551756,
    "mrr@5": 0.676175,
    "mrr@20": 0.687459,
    "map@100": 0.273379,
    "recall_min@5": 0.458890,
    "recall_min@20": 0.445777,
    "recall_min@50": 0.565899,
}


def test_known_figures_on_movielens() -> None:
    folder = DATA / "ml-100k-cfgan"
    if not folder.exists():
        pytest.skip("the ML-100K split of CFGAN is not here; MINIGEN_DATA names the folder that holds it")
    pairs = [np.loadtxt(folder / f"ML100K.{part}", usecols=(0, 1), dtype=int) for part in ("train", "test")]
    shape = tuple(np.vstack(pairs).max(axis=0) + 1)
    train, test = (csr_matrix((np.ones(len(p)), p.T), shape=shape) for p in pairs)
    p = np.linalg.inv((train.T @ train).toarray() + 300 * np.eye(shape[1]))
    weights = -p / np.diag(p)
    np.fill_diagonal(weights, 0)
    held = HeldOut(train, test, [str(user) for user in range(shape[0])])
    result = evaluate(Linear(weights), held, KNOWN)
    assert {name: round(result.mean(name), 6) for name in KNOWN} == KNOWN
