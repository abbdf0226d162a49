"""Doubt: codes drawn from the posterior, its spread, and probabilities held against frequencies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from minigen.application import calibration
from minigen.application.ranking import Application
from minigen.application.uncertainty import (
    posterior,
    prior_behaviour,
    sample_scores,
    shorten,
    spread_by_length,
)
from minigen.errors import InputError
from minigen.ladder import MODELS, BehaviourVAE
from minigen.recommender import EASE, MultVAE
from minigen.recommender.combine import softmax

N_ITEMS = 16


@pytest.fixture(scope="module")
def train() -> sparse.csr_matrix:
    rng = np.random.default_rng(8)
    dense = np.zeros((240, N_ITEMS), dtype=np.float32)
    for row in dense:
        row[8 * rng.integers(2) + rng.choice(8, 5, replace=False)] = 1
    return sparse.csr_matrix(dense)


@pytest.fixture(scope="module")
def vae(train) -> MultVAE:
    return MultVAE(hidden=16, latent=4, epochs=25, batch=40, lr=5e-3, dropout=0.3).fit(train)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_posterior_belongs_to_the_scores_or_is_refused(name, train):
    model = MODELS[name]()
    settings = {"epochs": 1, "hidden": 8, "latent": 3, "factors": 3}
    model = MODELS[name](**{key: v for key, v in settings.items() if key in model.settings}).fit(train)
    if not hasattr(model, "posterior") or model.posterior(train[:7])[1] is None:
        with pytest.raises(InputError, match=f"{name} has no posterior"):
            posterior(model, train[:7])
        return
    mu, log_var = posterior(model, train[:7])
    assert mu.shape == log_var.shape
    model.posterior = lambda histories: (mu, np.full_like(mu, -80))  # no doubt at all
    drawn = sample_scores(model, train[:7], np.random.default_rng(3))
    np.testing.assert_allclose(drawn, model.score(train[:7]), rtol=1e-5, atol=1e-5)


def test_draws_have_the_mean_and_the_variance_of_the_posterior(train):
    """A linear decoder: the logits of drawn codes are Gaussian with variance w^T diag(var) w."""
    model = MultVAE(hidden=0, latent=4, epochs=2, batch=40).fit(train)
    one = train[:1]
    _, log_var = posterior(model, one)
    rng = np.random.default_rng(0)
    draws = np.concatenate([sample_scores(model, one, rng) for _ in range(4000)])
    variance = np.exp(log_var[0]) @ np.square(model.params["w_out"])
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.12)
    off = (draws.mean(axis=0) - model.score(one)[0]) / np.sqrt(variance / 4000)
    assert np.abs(off).max() < 4
    standard = (draws[:, 3] - model.score(one)[0, 3]) / np.sqrt(variance[3])
    assert stats.kstest(standard, "norm").pvalue > 0.001


def test_exploration_is_seeded_and_needs_a_posterior(vae, train):
    explorer = Application(vae, explore=True)
    lists = [explorer.recommend(train[:40], 6, rng=np.random.default_rng(seed))[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(lists[0], lists[1])
    assert (lists[0] != lists[2]).any()
    seen = train[:40].toarray() > 0
    assert not np.take_along_axis(seen, lists[0], axis=1).any()
    with pytest.raises(InputError, match="ease has no posterior"):
        Application(EASE().fit(train), explore=True).recommend(train[:2], 3, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="rng"):
        explorer.recommend(train[:2], 3)


def test_short_histories_leave_more_doubt(vae, train):
    one, five = spread_by_length(vae, train, (1, 5))
    assert len(one.std) == train.shape[0]
    assert one.std.mean() > five.std.mean()
    assert one.nats.mean() > five.nats.mean() > 0
    with pytest.raises(InputError, match="nobody has a history of 9 items"):
        spread_by_length(vae, train, (1, 9))


def test_doubt_of_several_behaviours_is_that_of_the_last(train):
    """The others are ruled out by the model, at the mean and at a drawn code alike."""
    both = sparse.csr_matrix(sparse.hstack([train, train], format="csr"))
    model = BehaviourVAE(hidden=16, latent=4, epochs=3, batch=40, behaviours="view,buy").fit(both)
    (found,) = spread_by_length(model, both, (4,))
    rng = np.random.default_rng(0)
    shown = shorten(both[np.flatnonzero(np.diff(both.indptr) >= 4)], 4, rng)
    p, q = (softmax(s[:, N_ITEMS:]) for s in (model.score(shown), sample_scores(model, shown, rng)))
    assert found.nats == pytest.approx((p * np.log(p / q)).sum(axis=1), rel=1e-3, abs=1e-6)
    assert found.nats.max() > 0


def test_shortened_histories_are_random_parts(train, rng):
    short = shorten(train, 3, rng)
    np.testing.assert_array_equal(np.diff(short.indptr), 3)
    assert (train.toarray() >= short.toarray()).all()
    kept = np.mean([shorten(train, 3, rng).toarray() for _ in range(200)], axis=0)[train.toarray() > 0]
    assert np.abs(kept - 0.6).max() < 5 * np.sqrt(0.6 * 0.4 / 200)
    np.testing.assert_array_equal(shorten(train, 99, rng).toarray(), train.toarray())


def test_the_prior_behaves_as_the_mean_over_its_codes(vae):
    behaviour = prior_behaviour(vae, n=4000)
    assert behaviour.sum() == pytest.approx(1, rel=1e-5)
    codes = np.random.default_rng(5).standard_normal((4000, 4), dtype=np.float32)
    np.testing.assert_allclose(behaviour, softmax(vae.decode(codes)).mean(axis=0), atol=0.01)


def sharpened(p, power):
    q = p**power
    return q / q.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def world():
    """Probabilities of 4000 people over 30 items, and an item drawn from each."""
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.full(30, 0.3), 4000)
    drawn = np.array([rng.choice(30, p=row) for row in p])
    return p, sparse.csr_matrix((np.ones(4000), drawn, np.arange(4001)), shape=p.shape)


def test_true_probabilities_are_frequencies_and_too_sure_ones_are_not(world):
    p, target = world
    errors = []
    for power in (1.0, 2.0):
        predicted, observed = calibration.top_probabilities(sharpened(p, power), target, (1, 2, 5, 10))
        errors.append(calibration.reliability(predicted.ravel(), observed.ravel()).error)
    assert errors[0] < 0.01
    assert errors[1] > 0.05
    too_sure = calibration.reliability(*(a[:, 0] for a in (predicted, observed)))
    assert (too_sure.predicted > too_sure.observed).all()


def test_the_calibration_error_by_hand():
    predicted = np.array([0.1, 0.9, 0.2, 0.8, 0.3])
    observed = np.array([0.0, 1.0, 1.0, 0.0, 0.0])
    found = calibration.reliability(predicted, observed, 2)  # .1 .2 .3 | .8 .9
    np.testing.assert_allclose(found.predicted, [0.2, 0.85])
    np.testing.assert_allclose(found.observed, [1 / 3, 0.5])
    assert found.error == pytest.approx(3 / 5 * (1 / 3 - 0.2) + 2 / 5 * 0.35)
    for bad in ((predicted, observed[:4]), (predicted[:1], observed[:1]), (2 * predicted, observed)):
        with pytest.raises(ValueError, match="want"):
            calibration.reliability(*bad, 2)


def test_top_probabilities_by_hand():
    p = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]])
    target = sparse.csr_matrix(np.array([[1.0, 0, 1], [0, 0, 1]]))
    predicted, observed = calibration.top_probabilities(p, target, (1, 2, 9))
    np.testing.assert_allclose(predicted, [[0.6, 0.9, 1], [0.5, 0.75, 1]])
    np.testing.assert_allclose(observed, [[0, 0.5, 1], [0, 0, 1]])
    with pytest.raises(ValueError, match="at least one"):
        calibration.top_probabilities(p, sparse.csr_matrix((2, 3)))


def test_temperature_undoes_what_sharpened_the_scores(world):
    p, target = world
    nobody = sparse.csr_matrix((np.ones(4000), np.full(4000, 29), np.arange(4001)), shape=p.shape)
    alive = np.flatnonzero(target.indices != 29)
    scores = 2 * np.log(np.maximum(p, 1e-30))[alive]
    chosen = calibration.choose_temperature(scores, nobody[alive], target[alive])
    assert chosen == pytest.approx(2, rel=0.1)
    sure, cool = (calibration.log_new_items(s, nobody[alive]) for s in (scores, scores / chosen))
    assert calibration.nll_nats(cool, target[alive]).mean() < calibration.nll_nats(sure, target[alive]).mean()


def test_what_is_all_but_impossible_has_a_likelihood_in_float32_too():
    scores = np.array([[120, 0, 120, 0], [120, 9, 0, 0]], np.float32)
    history, target = (sparse.csr_matrix(x, dtype=np.float32) for x in (np.eye(2, 4), np.eye(2, 4, 1)))
    log_p = calibration.log_new_items(scores, history)
    np.testing.assert_allclose(calibration.nll_nats(log_p, target), [120, 120])
    np.testing.assert_allclose(np.exp(log_p), calibration.new_items(scores, history))
    assert calibration.choose_temperature(scores, history, target, (0.25, 1.0, 4.0)) == 4.0


def test_an_old_item_is_no_target_where_the_next_new_one_is_predicted(vae, train):
    with pytest.raises(InputError, match="a target is in its history already: want new items"):
        calibration.choose_temperature(vae.score(train), train, train)
    with pytest.raises(InputError, match="at least one item that is new"):
        calibration.new_items(vae.score(train[:2]), sparse.csr_matrix(np.ones((2, N_ITEMS), np.float32)))


def test_the_doubt_of_a_model_that_is_very_sure_is_a_number(vae, train):
    sure = MultVAE(**vae.settings)
    sure.params = vae.params | {"w_out": 300 * vae.params["w_out"]}
    for spread in spread_by_length(sure, train, (1, 5)):
        assert np.isfinite(spread.nats).all()
        assert spread.nats.min() > -1e-9
