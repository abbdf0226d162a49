"""Explanations: exact gradients in the clicks, and reasons that matter when they are taken away."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax, softmax

from minigen.gradcheck.differences import five_point
from minigen.ops.sparse import with_data
from minigen.recommender import EASE, MultVAE, Popularity, SeedVAE, autoencoder
from minigen.recommender.explain import because, influence

N_ITEMS, CLICKS = 17, 6
ITEMS = [3, 16, 0, 8]


def one_history(rng: np.random.Generator) -> sparse.csr_matrix:
    """A row of weights that float32 holds exactly: the reference in float64 sees the same."""
    columns = np.sort(rng.choice(N_ITEMS, CLICKS, replace=False))
    weights = rng.integers(2, 8, CLICKS) / 4
    return sparse.csr_matrix((weights, columns, [0, CLICKS]), shape=(1, N_ITEMS))


def autoencoder_of(kind, rng, hidden=9):
    model = kind(hidden=hidden, latent=4)
    shapes = autoencoder.init_params(N_ITEMS, hidden, 4, model.config.form, rng)
    model.params = {name: 0.7 * rng.standard_normal(array.shape) for name, array in shapes.items()}

    def scores(x):
        mu, _, _ = autoencoder.encode(model.params, x, model.config.form)
        return autoencoder.decode(model.params, mu, model.config.form)[0]

    return model, scores


def ease(rng):
    model = EASE()
    model.params = {"weights": rng.standard_normal((N_ITEMS, N_ITEMS))}
    return model, lambda x: x @ model.params["weights"]


@pytest.mark.parametrize(
    "make",
    [
        lambda r: autoencoder_of(MultVAE, r),
        lambda r: autoencoder_of(MultVAE, r, hidden=0),
        lambda r: autoencoder_of(SeedVAE, r),
        ease,
    ],
)
def test_influence_is_the_click_times_the_derivative_of_the_log_probability(make, rng):
    model, scores = make(rng)
    history = one_history(rng)
    np.testing.assert_allclose(model.score(history), scores(history), rtol=1e-5, atol=1e-5)
    found = influence(model, history, ITEMS)
    for row, item in zip(found, ITEMS):
        chosen = np.arange(N_ITEMS) == item
        slope = five_point(
            lambda clicks: log_softmax(scores(with_data(history, clicks)), axis=1), history.data, chosen
        )
        wanted = history.data * slope
        np.testing.assert_allclose(row, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_ease_in_closed_form(rng):
    model, scores = ease(rng)
    history = one_history(rng)
    b, p = model.params["weights"], softmax(scores(history), axis=1)[0]
    wanted = [[x * (b[i, j] - p @ b[i]) for i, x in zip(history.indices, history.data)] for j in ITEMS]
    np.testing.assert_allclose(influence(model, history, ITEMS), wanted, rtol=1e-6)


def test_popularity_has_no_reasons(rng):
    history = one_history(rng)
    model = Popularity().fit(sparse.csr_matrix(rng.random((9, N_ITEMS)) < 0.5))
    assert not influence(model, history, ITEMS).any()
    assert because(model, history, ITEMS) == [[]] * len(ITEMS)


def test_because_names_the_strongest_clicks_that_speak_for_the_item(rng):
    model, _ = ease(rng)
    history = one_history(rng)
    strength = influence(model, history, ITEMS)
    reasons = because(model, history, ITEMS, n=2)
    for row, why in zip(strength, reasons):
        best = sorted(zip(row, history.indices), reverse=True)[:2]
        assert [item for item, _ in why] == [item for value, item in best if value > 0]
        assert all(value > 0 for _, value in why)
    assert any(len(why) == 2 for why in reasons)


def test_reasons_come_from_the_taste_they_serve_and_matter_when_taken_away():
    """Two tastes in one history: each item is explained by its own, and loses without its first reason."""
    rng = np.random.default_rng(4)
    train = np.zeros((300, 20), dtype=np.float32)
    for row in train:
        row[10 * rng.integers(2) + rng.choice(10, 5, replace=False)] = 1
    settings = {"hidden": 24, "latent": 6, "batch": 50, "epochs": 30, "dropout": 0.3, "lr": 5e-3}
    model = MultVAE(**settings, patience=0).fit(sparse.csr_matrix(train))
    history = sparse.csr_matrix(([1.0] * 4, [0, 1, 10, 11], [0, 4]), shape=(1, 20))
    items = [5, 7, 15, 17]
    before = log_softmax(model.score(history), axis=1)[0]
    for item, why in zip(items, because(model, history, items)):
        assert why
        assert {click // 10 for click, _ in why} == {item // 10}
        without = history.toarray()
        without[0, why[0][0]] = 0
        after = log_softmax(model.score(sparse.csr_matrix(without)), axis=1)[0]
        assert after[item] < before[item] - 0.05


def test_bad_arguments_are_named(rng):
    model, _ = ease(rng)
    history = one_history(rng)
    assert influence(model, history, []).shape == (0, CLICKS)
    assert because(model, history, []) == []
    with pytest.raises(ValueError, match="one row, got 2"):
        influence(model, sparse.csr_matrix(sparse.vstack([history, history])), ITEMS)
    for item in (-1, N_ITEMS):  # -1 stands for "no item left" in a list of recommendations
        with pytest.raises(ValueError, match="items"):
            influence(model, history, [0, item])
