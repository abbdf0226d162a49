"""The rungs up to Mult-VAE: what each adds to the one before it, and what it learns."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from test_recommender import split_of_groups
from test_training import SMALL, StopError, clicks, held_out, stop_at

from minigen.evaluation.evaluate import evaluate
from minigen.gradcheck.differences import five_point
from minigen.ladder import AE, DAE, BetaVAE, MultDAE, load_model
from minigen.ops.sparse import with_data
from minigen.recommender import MultVAE, Popularity, autoencoder

RUNGS = pytest.mark.parametrize("rung", [AE, DAE, MultDAE, BetaVAE], ids=lambda kind: kind.id)
TINY = {"hidden": 12, "latent": 5, "batch": 16, "epochs": 3, "patience": 0}


def test_each_rung_changes_what_it_says_and_nothing_else():
    rungs = [asdict(kind.defaults) for kind in (AE, DAE, MultDAE, BetaVAE, MultVAE)]
    changed = [{name for name in one if one[name] != other[name]} for one, other in pairwise(rungs)]
    assert changed == [{"dropout"}, {"likelihood", "l2"}, {"stochastic", "l2", "beta"}, {"anneal_epochs"}]


@RUNGS
def test_without_noise_the_loss_is_that_of_what_it_serves(rung):
    rows = clicks()
    model = rung(**TINY, dropout=0.0, beta=0.0).fit(rows)
    logits = model.score(rows).astype(float)
    x = rows.toarray()
    if rung.id in ("ae", "dae"):
        wanted = (np.logaddexp(0, logits) - x * logits).sum(axis=1).mean()
    else:
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        wanted = -(x * log_p).sum(axis=1).mean()
    eps = np.zeros((len(x), TINY["latent"]), np.float32) if model.config.stochastic else None
    terms, _ = autoencoder.forward(model.params, rows, model.config.form, None, eps, 0.0)
    assert terms.nll == pytest.approx(wanted, rel=1e-5)
    weights = [w.astype(float) for name, w in model.params.items() if name.startswith("w_")]
    penalty = model.config.l2 * sum((w**2).sum() for w in weights)
    assert terms.penalty == pytest.approx(penalty, rel=1e-5)
    assert terms.loss == pytest.approx(wanted + penalty, rel=1e-5)
    assert (penalty > 0) == (rung is MultDAE)


def test_beta_is_constant_and_with_1_the_loss_is_the_negative_elbo():
    assert {BetaVAE(beta=0.7).beta(step) for step in (0, 1, 10**6)} == {0.7}
    model = BetaVAE(**TINY, beta=1.0)
    model.start(clicks())
    logged = model.train_step(clicks()[:9], np.random.default_rng(0), 0)
    assert logged["loss"] == pytest.approx(logged["nll"] + logged["kl"], rel=1e-6)


@pytest.mark.parametrize("rung", [AE, DAE, MultDAE], ids=lambda kind: kind.id)
def test_a_deterministic_rung_has_no_variance_and_no_kl(rung):
    model = rung(**TINY)
    model.start(clicks())
    assert not {"w_log_var", "b_log_var"} & set(model.params)
    assert model.train_step(clicks()[:9], np.random.default_rng(0), 0)["kl"] == 0


def test_the_autoencoder_trains_alike_whatever_the_noise_and_the_denoiser_does_not():
    def after_a_step(kind, seed):
        model = kind(**TINY)
        model.start(clicks())
        model.train_step(clicks()[:9], np.random.default_rng(seed), 0)
        return model.params["w_in"]

    np.testing.assert_array_equal(after_a_step(AE, 0), after_a_step(AE, 1))
    assert not np.array_equal(after_a_step(DAE, 0), after_a_step(DAE, 1))


@RUNGS
def test_resume_after_a_stop_ends_in_the_same_bytes(rung, tmp_path):
    whole = rung(**SMALL).fit(clicks(), held_out(), run=tmp_path / "whole")
    for step in (1, 4, 6, 15):
        run = tmp_path / f"cut-{step}"
        with pytest.raises(StopError):
            rung(**SMALL).fit(clicks(), held_out(), run=run, checkpoint_seconds=0, report=stop_at(step))
        resumed = rung(**SMALL).fit(clicks(), held_out(), run=run, resume=True)
        assert resumed.state == whole.state
        for name, array in whole.params.items():
            assert array.tobytes() == resumed.params[name].tobytes(), name
    again = load_model(tmp_path / "whole")
    assert (type(again), again.settings) == (rung, whole.settings)
    np.testing.assert_array_equal(again.score(clicks()), whole.score(clicks()))


@RUNGS
def test_learns_what_popularity_cannot_know(rung):
    split = split_of_groups()
    popular = evaluate(Popularity().fit(split.train), split.test, ("recall@8",)).mean("recall@8")
    model = rung(hidden=32, latent=8, batch=50, epochs=60, lr=5e-3).fit(split.train)
    assert evaluate(model, split.test, ("recall@8",)).mean("recall@8") > 1.8 * popular


@RUNGS
def test_click_gradient_is_the_derivative_of_the_scores(rung, rng):
    model = rung(**TINY).fit(clicks())
    model.params = {name: array.astype(float) for name, array in model.params.items()}
    histories = clicks(4, seed=3).astype(float)
    d_scores = rng.standard_normal((4, 30))

    def scores(data):
        form = model.config.form
        codes, _, _ = autoencoder.encode(model.params, with_data(histories, data), form)
        return autoencoder.decode(model.params, codes, form)[0]

    wanted = five_point(scores, histories.data, d_scores)
    found = model.click_gradient(histories, d_scores).data
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
