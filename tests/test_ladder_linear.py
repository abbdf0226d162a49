"""Mult-VAE with a linear path: a path that has not seen the user, and the two in one softmax."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from test_recommender import split_of_groups
from test_training import SMALL, StopError, clicks, held_out, stop_at

from minigen.application.uncertainty import sample_scores
from minigen.cli.settings import parse_settings
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.gradcheck.differences import five_point
from minigen.ladder import LinearVAE, load_model
from minigen.ladder.linear_path import EASEPath, SpectralPath, log_shares_forward
from minigen.ops.sparse import with_data
from minigen.recommender import EASE, MultVAE, Popularity, autoencoder, baselines

TINY = SMALL | {"path_factors": 7, "path_l2": 3.0}
BOTH = pytest.mark.parametrize("path", ["ease", "spectral"])


def weighted(seed: int = 0) -> sparse.csr_matrix:
    """Clicks of weights that are not 1."""
    x = clicks(seed=seed)
    return with_data(x, np.random.default_rng(seed).uniform(0.5, 2, x.nnz).astype(np.float32))


def test_ease_without_a_user_is_ease_fitted_on_all_the_others(monkeypatch):
    monkeypatch.setattr("minigen.ladder.linear_path._BLOCK", 7)
    rows = weighted()
    found = EASEPath(3.0).fit(rows).leave_out(rows)
    for user in range(rows.shape[0]):
        others = rows[[n for n in range(rows.shape[0]) if n != user]]
        wanted = EASE(3.0).fit(others).score(rows[user])
        np.testing.assert_allclose(found[user : user + 1], wanted, rtol=1e-4, atol=1e-5)
    with_user = EASE(3.0).fit(rows).score(rows)
    assert np.abs(found - with_user).max() > 0.1  # and that is not what EASE of all says


@pytest.mark.parametrize("gram", [0.0, 0.7])
def test_spectral_without_a_click_loses_what_the_click_said_of_itself(gram):
    rows = weighted()
    path = SpectralPath(7, gram).fit(rows)
    x = rows.toarray().astype(float)
    up, v = np.sqrt(x.sum(axis=0)), path.params["vectors"].astype(float)
    normal = x / np.sqrt(np.outer(x.sum(axis=1), x.sum(axis=0)))
    low = v @ v.T * up / up[:, None]
    for user, row in enumerate(x):
        others = np.delete(normal, user, axis=0)
        weights = low + gram * others.T @ others
        np.fill_diagonal(weights, 0)
        wanted = row @ weights
        np.testing.assert_allclose(path.leave_out(rows[user])[0], wanted, rtol=1e-4, atol=1e-4)


@BOTH
def test_leave_out_does_not_depend_on_the_batch(path):
    rows = weighted()
    path = LinearVAE(**TINY, path=path).config.new_path().fit(rows)
    whole = path.leave_out(rows)
    np.testing.assert_allclose(path.leave_out(rows[3:9]), whole[3:9], rtol=1e-5, atol=1e-6)


def test_the_loss_of_a_silent_decoder_is_that_of_paths_that_do_not_know_their_users():
    rows = clicks()
    model = LinearVAE(**TINY)
    model.start(rows)
    for name in ("w_out", "b_out"):
        model.params[name][:] = 0
    wanted = 0.0
    for user in range(9):
        others = rows[[n for n in range(rows.shape[0]) if n != user]]
        said, _ = log_shares_forward(EASE(3.0).fit(others).score(rows[user]))
        logits = model.config.gain * said[0].astype(float)
        wanted -= (rows[user].toarray()[0] * (logits - np.logaddexp.reduce(logits))).sum() / 9
    logged = model.train_step(rows[:9], np.random.default_rng(0), 0)
    assert logged["nll"] == pytest.approx(wanted, rel=1e-4)


@BOTH
def test_a_silent_decoder_leaves_the_ranking_of_the_path(path):
    rows = clicks()
    model = LinearVAE(**TINY, path=path)
    model.start(rows)
    for name in ("w_out", "b_out"):
        model.params[name][:] = 0
    alone = model.config.new_path().fit(rows)
    np.testing.assert_array_equal(model.recommend(rows, 3)[0], alone.recommend(rows, 3)[0])


@BOTH
def test_training_moves_the_decoder_and_the_gain_and_never_the_path(path):
    model = LinearVAE(**TINY, path=path)
    model.start(clicks())
    before = {name: array.copy() for name, array in model.params.items()}
    model.train_step(clicks()[:16], np.random.default_rng(0), 30)
    still = {name for name, array in model.params.items() if np.array_equal(before[name], array)}
    assert still == {name for name in before if name.startswith("path.")}
    assert "gain" in before


def test_without_gain_it_is_mult_vae():
    one, two = LinearVAE(**TINY, gain=0.0), MultVAE(**SMALL)
    for model in (one, two):
        model.start(clicks())
    x, eps = clicks()[:5], np.zeros((5, 5), np.float32)
    (terms, grads), (wanted, of_vae) = (m._gradients(m.params, x, None, eps, 0.2) for m in (one, two))
    assert (terms.nll, terms.kl) == (wanted.nll, wanted.kl)
    assert set(grads) == {*of_vae, "gain"}
    for name, grad in of_vae.items():
        np.testing.assert_array_equal(grads[name], grad)


@BOTH
def test_resume_after_a_stop_ends_in_the_same_bytes_and_serves_the_same(path, tmp_path):
    settings = TINY | {"path": path}
    whole = LinearVAE(**settings).fit(clicks(), held_out(), run=tmp_path / "whole")
    for step in (1, 4, 6, 15):
        run = tmp_path / f"cut-{step}"
        with pytest.raises(StopError):
            LinearVAE(**settings).fit(
                clicks(), held_out(), run=run, checkpoint_seconds=0, report=stop_at(step)
            )
        resumed = LinearVAE(**settings).fit(clicks(), held_out(), run=run, resume=True)
        assert resumed.state == whole.state
        for name, array in whole.params.items():
            assert array.tobytes() == resumed.params[name].tobytes(), name
    again = load_model(tmp_path / "whole")
    assert (type(again), again.settings) == (LinearVAE, whole.settings)
    np.testing.assert_array_equal(again.score(clicks()), whole.score(clicks()))
    np.testing.assert_array_equal(again.path.score(clicks()), whole.path.score(clicks()))


@BOTH
def test_click_gradient_is_the_derivative_of_the_scores(path, rng):
    model = LinearVAE(**TINY | {"epochs": 1}, path=path).fit(clicks())
    model.params = {
        name: array.astype(float) if array.dtype.kind == "f" else array
        for name, array in model.params.items()
    }
    histories = clicks(4, seed=3).astype(float)
    d_scores = rng.standard_normal((4, 30))

    def scores(data):
        x = with_data(histories, data)
        codes, _, _ = autoencoder.encode(model.params, x, model.config.form)
        return model.decode(codes) + model.params["gain"] * log_shares_forward(model.path.score(x))[0]

    wanted = five_point(scores, histories.data, d_scores)
    found = model.click_gradient(histories, d_scores).data
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@BOTH
def test_a_drawn_code_leaves_the_path_beside_it(path, rng):
    model = LinearVAE(**TINY | {"epochs": 1}, path=path).fit(clicks())
    model.params["w_log_var"][:], model.params["b_log_var"][:] = 0, -60  # the code is as good as its mean
    drawn = sample_scores(model, clicks(5), rng)
    np.testing.assert_allclose(drawn, model.score(clicks(5)), rtol=1e-5, atol=1e-6)


@BOTH
def test_learns_what_popularity_cannot_know(path):
    split = split_of_groups()
    popular = evaluate(Popularity().fit(split.train), split.test, ("recall@8",)).mean("recall@8")
    settings = TINY | {"hidden": 32, "batch": 50, "epochs": 30, "lr": 5e-3, "path_factors": 3}
    model = LinearVAE(**settings, path=path).fit(split.train)
    assert evaluate(model, split.test, ("recall@8",)).mean("recall@8") > 1.8 * popular


def test_numba_learns_the_same():
    one, two = (LinearVAE(**TINY, backend=name).fit(clicks()) for name in ("numpy", "numba"))
    np.testing.assert_allclose(two.score(clicks()), one.score(clicks()), rtol=0, atol=1e-3)


def test_a_spectral_path_holds_nothing_of_the_size_of_the_catalogue_squared(rng):
    n, m = 40, 20_000
    rows = sparse.random(n, m, 1e-3, "csr", np.float32, random_state=np.random.RandomState(0))
    model = LinearVAE(hidden=0, latent=4, batch=n, path="spectral", path_factors=4)
    tracemalloc.start()
    model.start(rows)
    for step in range(2):
        model.train_step(rows, rng, step)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * m * m / 20


def test_an_ease_path_too_large_for_the_memory_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(baselines, "_available_memory", lambda: 10_000)
    with pytest.raises(InputError, match=r"EASE on 30 items needs .* path=spectral$") as error:
        LinearVAE(**TINY).fit(clicks())
    assert "\n" not in str(error.value)


def test_damaged_arrays_are_refused(tmp_path):
    for path, name in (
        ("ease", "gain"),
        ("ease", "path.diagonal"),
        ("ease", "path.weights"),
        ("spectral", "path.diagonal"),
        ("spectral", "path.vectors"),
        ("spectral", "w_mu"),
    ):
        model = LinearVAE(**TINY | {"epochs": 1}, path=path).fit(clicks())
        model.params[name] = model.params[name][:0]
        model.save(tmp_path / "run")
        with pytest.raises(InputError, match="no complete linear-vae model"):
            load_model(tmp_path / "run")


@pytest.mark.parametrize(
    "settings",
    [
        {"path": "none"},
        {"gain": float("nan")},
        {"path_l2": 0.0},
        {"path": "spectral", "path_factors": 0},
        {"path": "spectral", "path_gram": -1.0},
        {"backend": "cuda"},
        {"negatives": 5},
        {"latent": 0},
    ],
)
def test_a_bad_setting_is_named(settings):
    name = list(settings)[-1].removeprefix("path_")
    with pytest.raises(InputError, match=name) as error:
        LinearVAE(**settings)
    assert "\n" not in str(error.value)


def test_settings_come_from_the_command_line():
    given = parse_settings(LinearVAE, ["path=spectral", "path_factors=9", "gain=2"])
    assert LinearVAE(**given).settings == LinearVAE().settings | {
        "path": "spectral",
        "path_factors": 9,
        "gain": 2.0,
    }
