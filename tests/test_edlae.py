"""EDLAE: the closed form against ridge regressions, what its settings mean, and what it is robust to."""

from __future__ import annotations

import numpy as np
import pytest
from test_ladder import N_ITEMS, clicks

from minigen.errors import InputError
from minigen.ladder import EDLAE
from minigen.recommender import EASE, baselines

PLAIN = {"user_power": 0.0, "item_power": 0.0, "locality": 1.0}


@pytest.mark.parametrize("user_power", [0.0, 0.7])
def test_each_column_is_a_weighted_ridge_regression_on_all_other_items(user_power):
    model = EDLAE(l2=2.0, dropout=0.3, **PLAIN | {"user_power": user_power}).fit(clicks())
    x = clicks().toarray().astype(float)
    alive = x.sum(axis=1) > 0
    w = np.ones(len(x))
    w[alive] = x[alive].sum(axis=1) ** -user_power
    ridge = 2.0 * w[alive].mean() + 0.3 / 0.7 * (w[:, None] * x**2).sum(axis=0)
    for j in range(N_ITEMS):
        others = np.arange(N_ITEMS) != j
        tall = np.concatenate([np.sqrt(w)[:, None] * x[:, others], np.diag(np.sqrt(ridge[others]))])
        right = np.concatenate([np.sqrt(w) * x[:, j], np.zeros(N_ITEMS - 1)])
        wanted = np.linalg.lstsq(tall, right, rcond=None)[0]
        np.testing.assert_allclose(model.params["weights"][others, j], wanted, rtol=1e-4, atol=1e-6)
        assert model.params["weights"][j, j] == 0


def test_the_ridge_of_dropout_is_the_mean_loss_of_rows_with_dropout(rng):
    x = clicks().toarray().astype(float)
    b = rng.standard_normal((N_ITEMS, N_ITEMS)) * 0.3
    np.fill_diagonal(b, 0)
    keep, n = 0.6, 20_000
    losses = np.array([((x - x * (rng.random(x.shape) < keep) / keep @ b) ** 2).sum() for _ in range(n)])
    ridge = (1 - keep) / keep * (x**2).sum(axis=0)
    wanted = ((x - x @ b) ** 2).sum() + (ridge[:, None] * b**2).sum()
    assert abs(losses.mean() - wanted) < 4 * losses.std() / np.sqrt(n)
    of_model = EDLAE(l2=1e-9, dropout=1 - keep, **PLAIN).fit(clicks()).params["weights"].astype(float)

    def mean_loss(w):
        return ((x - x @ w) ** 2).sum() + (ridge[:, None] * w**2).sum()

    for step in (1e-2, -1e-2):  # and the model's weights are where that mean is least
        assert mean_loss(of_model + step * b) > mean_loss(of_model)


def test_without_dropout_and_powers_it_is_ease():
    one, two = EDLAE(l2=3.0, dropout=0.0, **PLAIN).fit(clicks()), EASE(3.0).fit(clicks())
    np.testing.assert_allclose(one.params["weights"], two.params["weights"], rtol=1e-6, atol=1e-8)


def test_locality_and_item_power_change_the_weights_one_by_one():
    plain = EDLAE(**PLAIN).fit(clicks()).params["weights"].astype(float)
    n_users = np.maximum((clicks().toarray() > 0).sum(axis=0), 1)
    found = EDLAE(**PLAIN | {"item_power": 0.4, "locality": 1.7}).fit(clicks()).params["weights"]
    assert (plain < 0).any()
    np.testing.assert_allclose(
        found, np.sign(plain) * np.abs(plain) ** 1.7 / n_users**0.4, rtol=1e-4, atol=1e-9
    )


def test_no_memory_for_it_is_one_line(monkeypatch):
    monkeypatch.setattr(baselines, "_available_memory", lambda: 1000)
    with pytest.raises(InputError, match=rf"^EDLAE on {N_ITEMS} items needs"):
        EDLAE().fit(clicks())


@pytest.mark.parametrize("settings", [PLAIN, {}])
def test_users_without_a_click_change_nothing(settings):
    rows = clicks()
    alive = rows[np.flatnonzero(np.diff(rows.indptr))]
    assert 0 < alive.shape[0] < rows.shape[0]
    one, two = (EDLAE(**settings).fit(x).params["weights"] for x in (rows, alive))
    np.testing.assert_array_equal(one, two)
    assert not EDLAE(**settings).fit(0 * rows).params["weights"].any()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l2", 0.0),
        ("l2", float("nan")),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("dropout", float("nan")),
        ("user_power", float("inf")),
        ("item_power", float("nan")),
        ("locality", 0.0),
        ("locality", float("inf")),
    ],
)
def test_a_bad_setting_is_named(name, value):
    with pytest.raises(InputError, match=f"^{name}: want"):
        EDLAE(**{name: value})
