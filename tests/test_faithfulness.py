"""Explanations held against deletion: exact effects, orders, curves and areas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax
from scipy.stats import spearmanr

from minigen.application import faithfulness as f
from minigen.recommender import EASE, MultVAE
from minigen.recommender.base import canonical

N_ITEMS = 18


@pytest.fixture(scope="module")
def train():
    rng = np.random.default_rng(6)
    dense = np.zeros((250, N_ITEMS), dtype=np.float32)
    for row in dense:
        row[9 * rng.integers(2) + rng.choice(9, 5, replace=False)] = 1
        row[rng.integers(N_ITEMS)] = 1
    return sparse.csr_matrix(dense)


@pytest.fixture(scope="module")
def ease(train):
    return EASE(5.0).fit(train)


@pytest.fixture(scope="module")
def vae(train):
    return MultVAE(hidden=20, latent=5, epochs=25, batch=50, lr=5e-3, dropout=0.3).fit(train)


def test_deletions_are_what_the_model_says_without_the_click(ease, train):
    history, items = canonical(train[3]), [0, 11, 17]
    found = f.deletions(ease, history, items)
    whole = log_softmax(ease.score(history).astype(float), axis=1)[0]
    for place, click in enumerate(history.indices):
        rest = history.toarray()
        rest[0, click] = 0
        now = log_softmax(ease.score(sparse.csr_matrix(rest)).astype(float), axis=1)[0]
        np.testing.assert_allclose(found[:, place], (now - whole)[items], atol=1e-6)


def test_a_small_click_s_deletion_is_its_influence(vae, train):
    """To first order in the click: the guess becomes exact."""
    history = canonical(train[5]).copy()
    history.data[2] = 1e-3
    effect = f.deletions(vae, history, [1, 14])[:, 2]
    pull = f.influence(vae, history, [1, 14])[:, 2]
    np.testing.assert_allclose(effect, -pull, rtol=0.02)


def test_curves_take_clicks_away_in_their_order_and_leave_the_last(ease, train):
    history = canonical(train[7])
    n = history.nnz
    order = np.arange(n)[::-1]
    curve = f.deletion_curves(ease, history, 4, {"back": order}, (0, 0.5, 0.99))["back"]
    p = log_softmax(ease.score(history).astype(float), axis=1)[0, 4]
    wanted = [0.0]
    for count in (round(n / 2), n - 1):
        rest = history.toarray()
        rest[0, history.indices[order[:count]]] = 0
        wanted.append(log_softmax(ease.score(sparse.csr_matrix(rest)).astype(float), axis=1)[0, 4] - p)
    np.testing.assert_allclose(curve, wanted, atol=1e-6)


def test_the_area_is_the_mean_height():
    assert f.area(np.array([0.0, -1, -1]), (0, 0.5, 1)) == pytest.approx(-0.75)
    assert f.area(np.full(10, -2.0)) == pytest.approx(-2)


def test_orders_sort_by_what_they_say(ease, train, rng):
    history = canonical(train[9])
    popularity = np.bincount(train.indices, minlength=N_ITEMS)
    by = f.orders(ease, history, 2, popularity, ease.params["weights"], rng)
    clicks = history.indices
    assert all(sorted(order) == list(range(len(clicks))) for order in by.values())
    assert (np.diff(popularity[clicks[by["popularity"]]]) <= 0).all()
    assert (np.diff(f.deletions(ease, history, [2])[0][by["exact"]]) >= 0).all()
    assert (np.diff(ease.params["weights"][clicks[by["ease"]], 2]) <= 0).all()


def test_agreement_by_hand(ease, train, rng):
    history, items = canonical(train[11]), [3, 12]
    found = f.agreement(ease, history, items, ease.params["weights"], rng)
    pull, effect = f.influence(ease, history, items), f.deletions(ease, history, items)
    assert found["deletion"] == pytest.approx(np.mean([spearmanr(a, -b)[0] for a, b in zip(pull, effect)]))
    weights = ease.params["weights"][history.indices][:, items].T
    assert found["ease"] == pytest.approx(np.mean([spearmanr(a, b)[0] for a, b in zip(pull, weights)]))
    assert found["first"] == np.mean(pull.argmax(axis=1) == effect.argmin(axis=1))
    assert found["first_chance"] == 1 / history.nnz


@pytest.mark.parametrize("model", ["ease", "vae"])
def test_reasons_are_better_than_chance_and_popularity(model, request, ease, train):
    model = request.getfixturevalue(model)
    figures, curves = f.measure(model, train[:40], train, ease.params["weights"], k=3)
    mean = {name: values.mean() for name, values in figures.items()}
    assert mean["area_exact"] < mean["area_random"] - 0.02
    assert mean["area_influence"] < mean["area_random"] - 0.02
    assert mean["area_influence"] < mean["area_popularity"] - 0.02
    assert mean["deletion"] > 0.6
    assert mean["first"] > 2 * mean["first_chance"]
    assert mean["demoted"] > mean["demoted_random"]
    assert set(curves) == {"influence", "exact", "ease", "popularity", "random"}
    assert all(abs(curve[0]) < 1e-5 for curve in curves.values())
