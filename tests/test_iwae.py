"""The IWAE bound: tighter with every sample, never above the evidence, and its estimator finds it."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import iwae, linear_gaussian, vae
from minigen.linear_gaussian import LinearGaussian
from minigen.vae import Form

GAUSSIAN = Form("tanh", "gaussian")


@pytest.fixture
def model(rng):
    """Its true posterior is no diagonal Gaussian: no encoder of a VAE closes the gap."""
    return LinearGaussian(rng.standard_normal((3, 7)), rng.standard_normal(7), -0.4)


@pytest.fixture
def x(rng):
    return 2 * rng.standard_normal((9, 7))


def test_one_sample_is_the_elbo_with_a_sampled_kl(model, x, rng):
    params, n = linear_gaussian.as_vae(model), 1000
    draws = [
        (iwae.iwae_forward(params, x, eps[:, None], GAUSSIAN)[0],
         vae.elbo_forward(params, x, eps, GAUSSIAN)[0].loss)
        for eps in rng.standard_normal((n, 9, 3))
    ]  # fmt: skip
    difference = np.subtract(*np.transpose(draws))
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(n)


def test_more_samples_are_a_tighter_bound_below_the_evidence(model, x, rng):
    params = linear_gaussian.as_vae(model)
    params["encoder.b0"][3:] += 1.5  # a posterior too wide: there is a gap to close
    evidence = linear_gaussian.log_evidence(model, x).mean()
    bounds, errors = [], []
    for k in (1, 5, 50):
        draws = [
            -iwae.iwae_forward(params, x, rng.standard_normal((9, k, 3)), GAUSSIAN)[0] for _ in range(400)
        ]
        bounds.append(np.mean(draws))
        errors.append(np.std(draws) / 20)
    assert bounds[0] + 10 * errors[0] < bounds[1]
    assert bounds[1] + 10 * errors[1] < bounds[2]
    assert bounds[2] < evidence
    assert evidence - bounds[2] < 0.1 * (evidence - bounds[0])


def test_the_estimator_finds_the_evidence_and_chunks_change_nothing(model, x):
    params = linear_gaussian.as_vae(model)
    params["encoder.b0"][3:] += 0.3
    whole = iwae.nll_estimate(params, x, GAUSSIAN, np.random.default_rng(0), samples=5000)
    np.testing.assert_allclose(whole, -linear_gaussian.log_evidence(model, x), atol=0.1)
    chunks = iwae.nll_estimate(params, x[:1], GAUSSIAN, np.random.default_rng(0), samples=5000, chunk=999)
    assert chunks[0] == pytest.approx(whole[0], rel=1e-12)


def test_the_estimator_is_exact_where_q_is_the_posterior(rng):
    data = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 5)) + 0.5 * rng.standard_normal((50, 5))
    model = linear_gaussian.ppca(data, 2)
    estimate = iwae.nll_estimate(linear_gaussian.as_vae(model), data[:4], GAUSSIAN, rng, samples=1)
    np.testing.assert_allclose(estimate, -linear_gaussian.log_evidence(model, data[:4]), rtol=1e-10)


def test_a_sample_out_of_all_proportion_does_not_overflow(rng):
    params = vae.init_params((3, 2), rng, Form(), np.float64)
    params["decoder.w0"][:] = 0
    params["decoder.w0"][0] = 800  # codes with z_0 > 0 say white, the others black, with all their might
    eps = np.array([[[1.0, 0], [-1.0, 0], [0.5, 0.3]]])
    loss, cache = iwae.iwae_forward(params, np.ones((1, 3)), eps)
    assert np.isfinite(loss)
    assert cache.weights.sum() == pytest.approx(1)
    assert all(np.isfinite(g).all() for g in iwae.iwae_backward(1.0, cache).values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("likelihood", vae.LIKELIHOODS)
def test_black_images_and_a_batch_of_one(dtype, likelihood, rng):
    form = Form("tanh", likelihood)
    params = vae.init_params((9, 5, 2), rng, form, dtype)
    eps = rng.standard_normal((1, 3, 2)).astype(dtype)
    loss, cache = iwae.iwae_forward(params, np.zeros((1, 9), dtype), eps, form)
    grads = iwae.iwae_backward(1.0, cache)
    assert np.isfinite(loss)
    assert set(grads) == set(params)
    assert all(np.isfinite(g).all() and g.dtype == dtype for g in grads.values())


def test_shapes_and_counts_are_checked(rng):
    params = vae.init_params((3, 2), rng)
    with pytest.raises(ValueError, match=r"eps: want shape \(2, any, any\), got \(1, 4, 2\)"):
        iwae.iwae_forward(params, np.zeros((2, 3)), np.zeros((1, 4, 2)))
    with pytest.raises(ValueError, match="samples and chunk: want at least 1, got 0 and 5000"):
        iwae.nll_estimate(params, np.zeros((2, 3)), Form(), rng, samples=0)
