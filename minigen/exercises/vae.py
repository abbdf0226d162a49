"""Chapter 07: the variational autoencoder."""

from __future__ import annotations

import numpy as np

from minigen import linear_gaussian, vae
from minigen.exercises.registry import Answer, exercise
from minigen.exercises.same import same_as
from minigen.gradcheck import GradientError
from minigen.gradcheck.meaning import want
from minigen.linear_gaussian import LinearGaussian


@exercise(1)
def a_baseline_that_costs_nothing(advantages: Answer) -> None:
    """Less variance, and the right slope of E[z^2] = m^2 + 1 on average; the score of N(m, 1) is z - m."""
    m, z = 1.5, 1.5 + np.random.default_rng(1).standard_normal((200_000, 3))
    found = advantages(z**2) * (z - m)
    if found.shape != z.shape:
        raise GradientError(f"want one value a draw, {z.shape}, got {found.shape}")
    if found.var() >= (z**2 * (z - m)).var():
        raise GradientError("the variance has not become smaller")
    slope, error = found.mean(), found.mean(axis=1).std() / np.sqrt(len(z))
    if abs(slope - 2 * m) >= 5 * error:
        raise GradientError(f"on average the estimate is {slope / (2 * m):.3f} times the true slope")


@exercise(2)
def which_way_round(gap_of: Answer) -> None:
    """KL from q to the true posterior is what the ELBO lacks."""
    rng = np.random.default_rng(2)
    m = LinearGaussian(rng.standard_normal((3, 7)), rng.standard_normal(7), -0.4)
    x, guess = rng.standard_normal((1, 7)), rng.standard_normal((2, 1, 3))
    mean, cov = linear_gaussian.posterior(m, x)
    wanted = linear_gaussian.log_evidence(m, x)[0] - linear_gaussian.elbo(m, x, *guess)[0]
    want("KL (log p(x) - ELBO is wanted)", gap_of(guess[0, 0], guess[1, 0], mean[0], cov), wanted, 1e-9)


@exercise(3)
def sum_or_mean(same_beta: Answer) -> None:
    """The beta of an averaged reconstruction."""
    rng, size = np.random.default_rng(3), 40
    weights = vae.init_params((size, 6, 3), rng, dtype=np.float64)
    x, eps = rng.integers(0, 2, (9, size)).astype(float), rng.standard_normal((9, 3))

    def slopes(beta: float) -> np.ndarray:
        grads = vae.elbo_backward(1.0, vae.elbo_forward(weights, x, eps, beta=beta)[1])
        return np.concatenate([grads[name].ravel() for name in sorted(grads)])

    averaged = slopes(0.0) / size + (slopes(1.0) - slopes(0.0))
    yours = slopes(same_beta(size))
    cosine = averaged @ yours / np.linalg.norm(averaged) / np.linalg.norm(yours)
    if cosine < 1 - 1e-9:
        raise GradientError(f"the gradients point different ways: their cosine is {cosine:.3f}, want 1")


@exercise(4)
def a_draw_with_a_gradient(my_sample_forward: Answer, my_sample_backward: Answer) -> None:
    """The path through the sample."""
    same_as("reparameterise", my_sample_forward, my_sample_backward)
