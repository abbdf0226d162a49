"""The linear and neighbourhood rungs: what they compute, against a few dense lines, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from test_recommender import split_of_groups

from minigen.cli.settings import parse_settings, parse_tuning
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.gradcheck.differences import five_point
from minigen.ladder import EDLAE, IALS, MODELS, ItemKNN, Spectral, load_model, model_class
from minigen.ladder import spectral as spectral_room
from minigen.ops.sparse import with_data
from minigen.recommender import Popularity
from minigen.recommender.explain import because

N_USERS, N_ITEMS, EMPTY = 23, 17, 5  # nobody has item 5, the first user has every other


def clicks(seed: int = 0) -> sparse.csr_matrix:
    """Weighted clicks in quarters, which float32 holds exactly."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 8, (N_USERS, N_ITEMS)) / 4 * (rng.random((N_USERS, N_ITEMS)) < 0.3)
    x[0] = 1
    x[:, EMPTY] = 0
    x[3] = 0
    return sparse.csr_matrix(x.astype(np.float32))


def rungs():
    return [
        ItemKNN(neighbours=4, shrink=2.0),
        Spectral(factors=5, gram=0.7),
        Spectral(factors=5, gram=0.0),
        EDLAE(l2=2.0),
        IALS(factors=6, l2=0.05, alpha0=0.3, nu=0.6, epochs=5),
    ]


ids = pytest.mark.parametrize("model", rungs(), ids=lambda m: f"{m.id}{m.settings.get('gram', '')}")


def test_itemknn_scores_are_the_sums_over_the_nearest_neighbours():
    x = clicks().toarray().astype(float)
    model = ItemKNN(neighbours=4, shrink=2.0).fit(clicks())
    wanted = np.zeros((N_USERS, N_ITEMS))
    for j in range(N_ITEMS):
        s = [
            x[:, i] @ x[:, j] / (np.linalg.norm(x[:, i]) * np.linalg.norm(x[:, j]) + 2)
            for i in range(N_ITEMS)
        ]
        near = sorted((i for i in range(N_ITEMS) if i != j and s[i] > 0), key=lambda i: -s[i])[:4]
        wanted[:, j] = sum(x[:, i] * s[i] for i in near) if near else 0
    np.testing.assert_allclose(model.score(clicks()), wanted, rtol=1e-5)
    assert np.diff(model.weights.tocsc().indptr).max() == 4
    assert not model.weights.diagonal().any()


def test_itemknn_in_blocks_is_itemknn(monkeypatch):
    whole = ItemKNN(neighbours=4).fit(clicks())
    monkeypatch.setattr("minigen.ladder.itemknn._BLOCK", 5)
    parts = ItemKNN(neighbours=4).fit(clicks())
    np.testing.assert_array_equal(whole.weights.toarray(), parts.weights.toarray())


@pytest.mark.parametrize("factors", [2, 5, 14])
@pytest.mark.parametrize("transpose", [False, True])
def test_spectral_is_the_filter_of_the_normalised_matrix(factors, transpose):
    train = sparse.csr_matrix(clicks().T) if transpose else clicks()
    model = Spectral(factors=factors, gram=0.7).fit(train)
    x = train.toarray().astype(float)
    d_u, d_i = x.sum(axis=1), x.sum(axis=0)
    root_u, root_i = (np.diag([n**-0.5 if n else 0 for n in d]) for d in (d_u, d_i))
    normal = root_u @ x @ root_i
    v = np.linalg.svd(normal)[2][:factors].T
    weights = root_i @ v @ v.T @ np.diag(np.sqrt(d_i)) + 0.7 * normal.T @ normal
    np.testing.assert_allclose(model.score(train), x @ weights, rtol=1e-5, atol=1e-5)


def test_spectral_by_iteration_and_by_the_small_product_agree():
    matrix = sparse.random(60, 90, 0.2, format="csr", random_state=np.random.RandomState(0))
    for one in (matrix, sparse.csr_matrix(matrix.T)):
        iterated = spectral_room.right_singular_vectors(one, 7)
        np.testing.assert_array_equal(iterated, spectral_room.right_singular_vectors(one, 7))
        _, direct = spectral_room._by_gram(one, 7)
        np.testing.assert_allclose(iterated @ iterated.T, direct @ direct.T, atol=1e-9)
        np.testing.assert_allclose(iterated.T @ iterated, np.eye(7), atol=1e-9)


def test_spectral_refuses_more_factors_than_the_matrix_has():
    with pytest.raises(InputError, match=r"factors is 18: want at most 17, for 23 users, 17 items$"):
        Spectral(factors=18).fit(clicks())
    with pytest.raises(InputError, match=r"factors is 17: want at most 16, the rank"):  # nobody has item 5
        Spectral(factors=17).fit(clicks())
    few = sparse.csr_matrix(np.kron(np.eye(2), np.ones((40, 50))))  # rank 2, by iteration
    with pytest.raises(InputError, match=r"factors is 3: want at most 2, the rank"):
        Spectral(factors=3).fit(few)
    assert Spectral(factors=2).fit(few).n_items == 100


def weighted_least_squares(f, x, model):
    """argmin_w sum_i x_i (<w, f_i> - 1)^2 + alpha0 |F w|^2 + penalty |w|^2, as one tall system."""
    n, k = f.shape
    penalty = model.l2 * (x.sum() + model.alpha0 * n) ** model.nu
    tall = np.concatenate([np.sqrt(x)[:, None] * f, np.sqrt(model.alpha0) * f, np.sqrt(penalty) * np.eye(k)])
    right = np.concatenate([np.sqrt(x), np.zeros(n + k)])
    return np.linalg.lstsq(tall, right, rcond=None)[0]


def test_ials_alternates_between_least_squares_problems():
    x = clicks().toarray().astype(float)
    model = IALS(factors=4, l2=0.05, alpha0=0.3, nu=0.6, epochs=3, seed=1).fit(clicks())
    items = np.random.default_rng(1).standard_normal((N_ITEMS, 4), dtype=np.float32) * 0.05
    for _ in range(3):
        users = np.array([weighted_least_squares(items, row, model) for row in x])
        items = np.array([weighted_least_squares(users, column, model) for column in x.T])
    np.testing.assert_allclose(model.params["items"], items, rtol=1e-3, atol=1e-5)
    folded = np.array([weighted_least_squares(items, row, model) for row in x])
    np.testing.assert_allclose(model.score(clicks()), folded @ items.T, rtol=1e-3, atol=1e-5)


def test_ials_lowers_its_loss_at_every_epoch(monkeypatch):
    monkeypatch.setattr("minigen.ladder.ials._BLOCK", 7)  # more than one block, and a part of one
    x = clicks().toarray().astype(float)

    def loss(epochs):
        model = IALS(factors=4, alpha0=0.3, epochs=epochs).fit(clicks())
        h = model.params["items"].astype(float)
        w = np.array([weighted_least_squares(h, row, model) for row in x])
        scores = w @ h.T
        fit = (x * (scores - 1) ** 2).sum() + 0.3 * (scores**2).sum()
        of_w = (w**2).sum(axis=1) @ (x.sum(axis=1) + 0.3 * N_ITEMS)
        return fit + 0.003 * (of_w + (h**2).sum(axis=1) @ (x.sum(axis=0) + 0.3 * N_USERS))

    losses = [loss(epochs) for epochs in (1, 2, 4, 8)]
    assert np.all(np.diff(losses) < 0)
    assert losses[0] < x.sum()  # that of scoring nothing


@ids
def test_click_gradient_is_the_derivative_of_the_scores(model, rng):
    model.fit(clicks())
    model.params = {
        name: array.astype(float) if array.dtype.kind == "f" else array
        for name, array in model.params.items()
    }
    histories = clicks(seed=1).astype(float)  # the fourth row is empty
    d_scores = rng.standard_normal((N_USERS, N_ITEMS))
    found = model.click_gradient(histories, d_scores)
    wanted = five_point(lambda data: model.score(with_data(histories, data)), histories.data, d_scores)
    np.testing.assert_array_equal(found.indices, histories.indices)
    np.testing.assert_allclose(found.data, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@ids
def test_fit_is_the_same_each_time_and_survives_its_file(model, tmp_path):
    one, two = (type(model)(**model.settings).fit(clicks()) for _ in range(2))
    one.save(tmp_path / "run")
    again = load_model(tmp_path / "run")
    assert (type(again), again.settings, again.n_items) == (type(model), model.settings, N_ITEMS)
    for other in (two, again):
        np.testing.assert_array_equal(one.score(clicks()), other.score(clicks()))


@ids
def test_an_item_without_users_and_a_user_with_every_item(model):
    model.fit(clicks())
    everything = sparse.csr_matrix(np.ones((1, N_ITEMS), dtype=np.float32))
    assert set(model.recommend(everything, k=3)[0][0]) == {-1}
    items, scores = model.recommend(clicks()[:3], k=N_ITEMS)
    assert np.isfinite(scores[items >= 0]).all()
    assert np.allclose(model.score(clicks())[:, EMPTY], 0, atol=1e-6)


@ids
def test_learns_what_popularity_cannot_know_and_says_why(model):
    split = split_of_groups()
    popular = evaluate(Popularity().fit(split.train), split.test, ("recall@8",)).mean("recall@8")
    model.fit(split.train)
    assert evaluate(model, split.test, ("recall@8",)).mean("recall@8") > 1.8 * popular
    history = split.test.fold_in[0]
    items = model.recommend(history, k=3)[0][0]
    for item, reasons in zip(items, because(model, history, items)):
        assert reasons
        assert reasons[0][0] // 8 == item // 8  # an item of the same group


def test_damaged_arrays_are_refused(tmp_path):
    for model, name, change in (
        (ItemKNN(), "indices", lambda a: a + 1),
        (Spectral(factors=5), "vectors", lambda a: a[:, 1:]),
        (Spectral(factors=5), "data", lambda a: a[1:]),
        (IALS(factors=4), "items", lambda a: a[:, 1:]),
    ):
        model.fit(clicks())
        model.params[name] = change(model.params[name])
        model.save(tmp_path / model.id)
        with pytest.raises(InputError, match=f"no complete {model.id} model"):
            load_model(tmp_path / model.id)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("itemknn", {"neighbours": 0}),
        ("itemknn", {"shrink": -1.0}),
        ("spectral", {"factors": 0}),
        ("spectral", {"gram": float("nan")}),
        ("ials", {"l2": 0.0}),
        ("ials", {"alpha0": float("inf")}),
        ("ials", {"nu": -0.5}),
        ("ials", {"epochs": 0}),
        ("ials", {"seed": -1}),
    ],
)
def test_a_bad_setting_is_named(name, settings):
    with pytest.raises(InputError, match=f"^{next(iter(settings))}: want"):
        model_class(name)(**settings)


def test_settings_come_from_the_command_line():
    given = parse_settings(model_class("spectral"), ["factors=7", "gram=0"])
    assert Spectral(**given).settings == {"factors": 7, "gram": 0.0}
    assert parse_tuning(model_class("itemknn"), "neighbours=5,50") == ("neighbours", [5, 50])


def test_the_ladder_holds_every_model_by_its_id():
    assert {"popularity", "itemknn", "ease", "ials", "spectral", "seed-vae", "mult-vae"} <= set(MODELS)
    assert all(name == kind.id and kind.family in {"baseline", "generative"} for name, kind in MODELS.items())


def test_the_help_of_train_names_every_model():
    done = subprocess.run(
        [sys.executable, "-m", "minigen", "train", "--help"], capture_output=True, text=True, check=True,
        env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert [name for name in MODELS if name not in done.stdout] == []
