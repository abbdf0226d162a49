"""The VAE: a bound below the exact evidence, and never above; a linear one finds probabilistic PCA."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from minigen import iwae, linear_gaussian, losses, vae
from minigen.errors import InputError
from minigen.linear_gaussian import LinearGaussian
from minigen.optimizers import Adam
from minigen.score_function import estimate_gradients
from minigen.vae import Form

LINEAR = Form("tanh", "gaussian")


@pytest.fixture
def model(rng):
    """Rows of w at an angle: the true posterior is no diagonal Gaussian."""
    return LinearGaussian(rng.standard_normal((3, 7)), rng.standard_normal(7), -0.4)


@pytest.fixture
def x(rng):
    return 2 * rng.standard_normal((9, 7))


def test_evidence_and_posterior_are_scipys(model, x):
    cov = model.w.T @ model.w + np.exp(model.log_var) * np.eye(7)
    wanted = stats.multivariate_normal(model.b, cov).logpdf(x)
    np.testing.assert_allclose(linear_gaussian.log_evidence(model, x), wanted, rtol=1e-12)
    mean, cov_z = linear_gaussian.posterior(model, x)
    # Bayes at any z: log p(x|z) + log p(z) - log p(z|x) = log p(x)
    z = np.array([0.3, -1.0, 2.0])
    prior = stats.multivariate_normal(np.zeros(3), np.eye(3)).logpdf(z)
    likelihood = stats.norm(z @ model.w + model.b, np.exp(model.log_var / 2)).logpdf(x).sum(axis=1)
    back = [stats.multivariate_normal(m, cov_z).logpdf(z) for m in mean]
    np.testing.assert_allclose(likelihood + prior - back, wanted, rtol=1e-11)


def test_evidence_is_the_elbo_plus_the_kl_to_the_true_posterior(model, x, rng):
    evidence = linear_gaussian.log_evidence(model, x)
    for scale in (0.1, 1.0, 3.0):
        mu, log_var = scale * rng.standard_normal((2, 9, 3))
        elbo = linear_gaussian.elbo(model, x, mu, log_var)
        gap = linear_gaussian.kl_to_posterior(model, x, mu, log_var)
        np.testing.assert_allclose(elbo + gap, evidence, rtol=1e-12)
        assert (gap > 0).all()
        assert (elbo < evidence).all()


def test_shapes_that_do_not_fit_the_linear_model_are_named(model, x):
    code = np.zeros((9, 3))
    for wrong, named in (
        ((model, x[:, 1:], code, code), r"x: want shape \(any, 7\), got \(9, 6\)"),
        ((model, x, code[:1], code), r"mu: want shape \(9, 3\), got \(1, 3\)"),
        ((model, x, code, code[0]), r"log_var: want shape \(9, 3\), got \(3,\)"),
        ((model._replace(w=model.w[:, 1:]), x, code, code), r"w: want shape \(any, 7\), got \(3, 6\)"),
    ):
        for function in (linear_gaussian.elbo, linear_gaussian.kl_to_posterior):
            with pytest.raises(ValueError, match=named):
                function(*wrong)
    with pytest.raises(ValueError, match=r"x: want shape \(any, 7\), got \(7,\)"):
        linear_gaussian.posterior(model, x[0])


def test_the_vae_computes_that_elbo(model, x, rng):
    params = linear_gaussian.as_vae(model)
    mu, log_var, _ = vae.encode(params, x, LINEAR)
    wanted = -linear_gaussian.elbo(model, x, mu, log_var).mean()
    n = 4000
    losses_ = np.array(
        [vae.elbo_forward(params, x, rng.standard_normal(mu.shape), LINEAR)[0].loss for _ in range(n)]
    )
    assert abs(losses_.mean() - wanted) < 4 * losses_.std() / np.sqrt(n)
    assert wanted > -linear_gaussian.log_evidence(model, x).mean() + 0.01  # this posterior is not diagonal


def test_the_best_diagonal_posterior_is_the_one_of_the_vae(model, x):
    mu, log_var, _ = vae.encode(linear_gaussian.as_vae(model), x, LINEAR)
    best = linear_gaussian.elbo(model, x, mu, log_var).mean()
    for d in (-0.05, 0.05):
        assert linear_gaussian.elbo(model, x, mu + d, log_var).mean() < best
        assert linear_gaussian.elbo(model, x, mu, log_var + d).mean() < best


def test_the_bound_is_tight_at_the_true_posterior_of_ppca(rng):
    data = rng.standard_normal((400, 4)) @ rng.standard_normal((4, 8)) + rng.standard_normal(8)
    data += 0.3 * rng.standard_normal(data.shape)
    model = linear_gaussian.ppca(data, 3)
    mu, log_var, _ = vae.encode(linear_gaussian.as_vae(model), data, LINEAR)
    np.testing.assert_allclose(
        linear_gaussian.elbo(model, data, mu, log_var), linear_gaussian.log_evidence(model, data), rtol=1e-10
    )
    best = linear_gaussian.log_evidence(model, data).mean()
    for other in (
        model._replace(log_var=model.log_var + 0.1),
        model._replace(w=1.05 * model.w),
        model._replace(b=model.b + 0.05),
    ):
        assert linear_gaussian.log_evidence(other, data).mean() < best


def test_a_linear_vae_trained_by_hand_made_gradients_reaches_the_evidence_of_ppca(rng):
    data = rng.standard_normal((200, 2)) @ np.array([[1.5, 0, 1, 0.5, -1], [0, 1, 0.5, -1, 0.7]])
    data += 0.5 * rng.standard_normal(data.shape)
    wanted = linear_gaussian.log_evidence(linear_gaussian.ppca(data, 2), data).mean()
    params = vae.init_params((5, 2), rng, LINEAR, np.float64)
    adam = Adam()
    # Noise in opposite pairs along the axes has the moments of N(0, I): the expected loss, without sampling.
    points = np.sqrt(2) * np.concatenate([np.eye(2), -np.eye(2)])
    rows, eps = np.repeat(data, 4, axis=0), np.tile(points, (200, 1))
    for step in range(1500):
        adam.lr = 0.03 if step < 1000 else 0.003
        _, cache = vae.elbo_forward(params, rows, eps, LINEAR)
        adam.step(params, vae.elbo_backward(1.0, cache))
    reached = linear_gaussian.log_evidence(linear_gaussian.of_vae(params), data).mean()
    elbo = -vae.elbo_forward(params, rows, eps, LINEAR)[0].loss
    assert wanted - 1e-3 < reached <= wanted
    assert wanted - 1e-3 < elbo <= reached


def test_beta_weighs_the_rate_alone(x, rng):
    params, eps = vae.init_params((7, 5, 3), rng, LINEAR, np.float64), rng.standard_normal((9, 3))
    plain, _ = vae.elbo_forward(params, x, eps, LINEAR)
    heavy, _ = vae.elbo_forward(params, x, eps, LINEAR, beta=4.0)
    assert heavy[1:] == plain[1:]
    assert heavy.loss == pytest.approx(plain.distortion + 4 * plain.rate, rel=1e-14)


def test_log_probabilities_are_scipys(rng):
    logits, bits = rng.standard_normal((4, 6)), rng.integers(0, 2, (4, 6)).astype(float)
    wanted = stats.bernoulli(special.expit(logits)).logpmf(bits).sum(axis=1)
    np.testing.assert_allclose(losses.bernoulli_log_prob_forward(logits, bits)[0], wanted, rtol=1e-12)
    y, mu, log_var = rng.standard_normal((3, 4, 6))
    wanted = stats.norm(mu, np.exp(log_var / 2)).logpdf(y).sum(axis=1)
    np.testing.assert_allclose(losses.gaussian_log_prob_forward(y, mu, log_var)[0], wanted, rtol=1e-12)


def test_reparameterised_and_score_gradients_agree_and_differ_in_variance(rng):
    params = vae.init_params((60, 20, 5), rng, Form("tanh", "bernoulli"), np.float64)
    bits = rng.integers(0, 2, 60).astype(float)
    eps = rng.standard_normal((20_000, 5))
    estimates = estimate_gradients(params, bits, eps)
    means = [e.mean(axis=0) for e in estimates]
    _, cache = iwae.iwae_forward(params, np.tile(bits, (20_000, 1)), eps[:, None])
    np.testing.assert_allclose(means[0], -iwae.iwae_backward(1.0, cache)["encoder.b1"], rtol=1e-10)
    errors = [e.std(axis=0) / np.sqrt(len(e)) for e in estimates]
    for other in (1, 2):
        assert (np.abs(means[0] - means[other]) < 4.5 * np.hypot(errors[0], errors[other])).all()
    pathwise, score, baseline = (e.var(axis=0).sum() for e in estimates)
    assert 5 * pathwise < baseline < score / 50  # measured: 16, 122 and 17,414


def test_the_score_gradient_is_the_derivative_of_the_integral(rng):
    """One latent dimension: the ELBO by quadrature, its slope in mu by differences."""
    params = vae.init_params((4, 3, 1), rng, Form("tanh", "bernoulli"), np.float64)
    bits = np.array([1.0, 0, 0, 1])
    mu, log_var, _ = vae.encode(params, bits[None], Form())

    def elbo(mu):
        q = stats.norm(mu, np.exp(log_var[0, 0] / 2))

        def inside(z):
            y, _ = vae.decode(params, np.array([[z]]), Form())
            log_p = losses.bernoulli_log_prob_forward(y, bits[None])[0][0]
            return q.pdf(z) * (log_p + stats.norm.logpdf(z) - q.logpdf(z))

        return integrate.quad(inside, mu - 9, mu + 9, epsabs=1e-10)[0]

    slope = (elbo(mu[0, 0] + 1e-3) - elbo(mu[0, 0] - 1e-3)) / 2e-3
    for estimate in estimate_gradients(params, bits, rng.standard_normal((40_000, 1))):
        error = estimate[:, 0].std() / np.sqrt(len(estimate))
        assert abs(estimate[:, 0].mean() - slope) < 4 * error


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("likelihood", vae.LIKELIHOODS)
@pytest.mark.parametrize("batch", [1, 4])
def test_black_and_white_images_and_a_batch_of_one_are_finite(dtype, likelihood, batch, rng):
    form = Form("tanh", likelihood)
    params = vae.init_params((9, 5, 2), rng, form, dtype)
    for grey in (0, 1):
        x = np.full((batch, 9), grey, dtype)
        terms, cache = vae.elbo_forward(params, x, np.zeros((batch, 2), dtype), form)
        grads = vae.elbo_backward(1.0, cache)
        assert np.isfinite(terms).all()
        assert set(grads) == set(params)
        assert all(np.isfinite(g).all() and g.dtype == dtype for g in grads.values())
        assert {k: g.shape for k, g in grads.items()} == {k: w.shape for k, w in params.items()}


@pytest.mark.parametrize("likelihood", vae.LIKELIHOODS)
def test_the_mean_of_x_is_a_probability_of_bits_and_the_decoder_of_numbers(likelihood, rng):
    form = Form("tanh", likelihood)
    params = vae.init_params((7, 5, 3), rng, form)
    z = rng.standard_normal((4, 3)).astype(np.float32)
    y, _ = vae.decode(params, z, form)
    wanted = 1 / (1 + np.exp(-y)) if likelihood == "bernoulli" else y
    np.testing.assert_allclose(vae.mean_of_x(params, z, form), wanted, rtol=1e-6)


def test_saturated_logits_are_finite_and_right(rng):
    params = vae.init_params((3, 2), rng, Form(), np.float64)
    params["decoder.w0"][:] = 0
    params["decoder.b0"][:] = [800, -800, 800]
    x = np.array([[1.0, 0, 0]])
    terms, cache = vae.elbo_forward(params, x, np.ones((1, 2)))
    assert terms.distortion == pytest.approx(800)
    np.testing.assert_allclose(vae.elbo_backward(1.0, cache)["decoder.b0"], [0, 0, 1], atol=1e-12)


def test_no_variance_at_all_is_a_clear_error(rng):
    params = vae.init_params((3, 2), rng, LINEAR)
    params["decoder.log_var"][:] = -800
    with pytest.raises(InputError, match="log_var: want at least -80, got -800: no density without variance"):
        vae.elbo_forward(params, np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float32), LINEAR)
    with pytest.raises(ValueError, match="want variance outside 2 dimensions, got none"):
        linear_gaussian.ppca(np.zeros((5, 4)), 2)


def test_a_posterior_without_variance_is_finite(rng):
    params = vae.init_params((3, 2), rng, Form(), np.float64)
    params["encoder.b0"][2:] = -800
    terms, cache = vae.elbo_forward(params, np.zeros((1, 3)), np.ones((1, 2)))
    assert terms.rate == pytest.approx(799, abs=1)
    assert all(np.isfinite(g).all() for g in vae.elbo_backward(1.0, cache).values())


def test_bad_shapes_and_names_are_named(rng):
    with pytest.raises(ValueError, match="likelihood: want bernoulli or gaussian, got poisson"):
        vae.init_params((3, 2), rng, Form("tanh", "poisson"))
    params = vae.init_params((3, 2), rng)
    with pytest.raises(ValueError, match=r"eps: want the shape of mu, \(1, 2\), got \(1, 3\)"):
        vae.elbo_forward(params, np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="without hidden layers and with a Gaussian"):
        linear_gaussian.of_vae(params)
    with pytest.raises(ValueError, match="latent: want 1 to 2, got 3"):
        linear_gaussian.ppca(rng.standard_normal((9, 3)), 3)
