"""The Gaussian code: the sampler's distribution, and the KL against integrals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from minigen import ops


def test_samples_pass_a_ks_test(rng):
    mu, log_var, n = 0.7, 1.3, 20_000
    full = np.full((n, 1), mu), np.full((n, 1), log_var)
    z, _ = ops.reparameterise_forward(*full, rng.standard_normal((n, 1)))
    normal = stats.norm(mu, np.exp(log_var / 2))
    assert stats.kstest(z[:, 0], normal.cdf).pvalue > 1e-3
    wrong = mu + np.exp(log_var) * (z[:, 0] - mu) / np.exp(log_var / 2)
    assert stats.kstest(wrong, normal.cdf).pvalue < 1e-10  # the test can see a wrong scale


@pytest.mark.parametrize("mu, log_var", [(0.0, 0.0), (1.5, 0.0), (-0.3, -2.0), (2.0, 1.2)])
def test_kl_is_the_integral(mu, log_var):
    q, p = stats.norm(mu, np.exp(log_var / 2)), stats.norm()
    integral, _ = integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mu - 12, mu + 12, limit=200
    )
    kl, _ = ops.gaussian_kl_forward(np.array([[mu]]), np.array([[log_var]]))
    assert kl == pytest.approx(integral, abs=1e-8)


def test_kl_sums_over_dimensions_and_averages_over_examples(rng):
    mu, log_var = rng.standard_normal((2, 5, 3))
    parts = [ops.gaussian_kl_forward(mu[b : b + 1, z : z + 1], log_var[b : b + 1, z : z + 1])[0]
             for b in range(5) for z in range(3)]  # fmt: skip
    assert ops.gaussian_kl_forward(mu, log_var)[0] == pytest.approx(sum(parts) / 5, rel=1e-13)


def test_kl_near_the_prior_keeps_its_digits():
    log_var = np.full((1, 1), 1e-6)
    assert ops.gaussian_kl_forward(0 * log_var, log_var)[0] == pytest.approx(1e-12 / 4, rel=1e-6, abs=0)


@pytest.mark.parametrize("log_var", [-800.0, -100.0])
def test_no_variance_is_finite_and_samples_the_mean(log_var):
    mu, low = np.full((1, 2), 0.5), np.full((1, 2), log_var)
    z, cache = ops.reparameterise_forward(mu, low, np.ones((1, 2)))
    np.testing.assert_allclose(z, mu, rtol=1e-15)
    kl, kl_cache = ops.gaussian_kl_forward(mu, low)
    assert kl == pytest.approx(-log_var - 1 + 0.25)
    for d in (*ops.reparameterise_backward(z, cache), *ops.gaussian_kl_backward(1.0, kl_cache)):
        assert np.isfinite(d).all()


def test_float32_stays_and_a_strided_batch_of_one(rng):
    mu, log_var, eps = rng.standard_normal((3, 1, 8), dtype=np.float32)[:, :, ::2]
    z, cache = ops.reparameterise_forward(mu, log_var, eps)
    kl, kl_cache = ops.gaussian_kl_forward(mu, log_var)
    assert isinstance(kl, float)
    arrays = (z, *ops.reparameterise_backward(z, cache), *ops.gaussian_kl_backward(0.3, kl_cache))
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}
    assert {a.shape for a in arrays} == {(1, 4)}


def test_shapes_that_differ_are_named():
    a, b = np.zeros((2, 3)), np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"eps: want the shape of mu, \(2, 3\), got \(2, 4\)"):
        ops.reparameterise_forward(a, a, b)
    with pytest.raises(ValueError, match=r"log_var: want the shape of mu, \(2, 3\), got \(2, 4\)"):
        ops.gaussian_kl_forward(a, b)
    with pytest.raises(ValueError, match=r"mu: want shape \(1 or more, 3\), got \(0, 3\)"):
        ops.gaussian_kl_forward(a[:0], a[:0])
    _, cache = ops.reparameterise_forward(a, a, a)
    with pytest.raises(ValueError, match=r"d_z: want the shape of std, \(2, 3\), got \(2, 4\)"):
        ops.reparameterise_backward(b, cache)
