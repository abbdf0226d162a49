"""Chapter 01: generators and judges."""

from __future__ import annotations

import numpy as np

from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError, assert_gradients
from minigen.gradcheck.meaning import want


@exercise(1)
def from_generator_to_rule(rule_of_bells: Answer) -> None:
    """The log-odds of two Gaussians of one diagonal covariance, against their densities."""
    share, var = np.array([0.8, 0.2]), np.array([0.5, 2.0, 1.5])
    mean, x = np.random.default_rng(1).standard_normal((2, 3)), np.random.default_rng(2).normal(size=(5, 3))
    log_p = [np.log(share[k]) - ((x - mean[k]) ** 2 / var).sum(axis=1) / 2 for k in (0, 1)]
    w, b = rule_of_bells(share, mean, var)
    off = x @ w + b - (log_p[1] - log_p[0])
    if np.allclose(off, off[0]) and not np.isclose(off[0], 0):
        raise GradientError(f"b is off by {off[0]:+.4f}, the log-ratio of the shares is {np.log(0.25):.4f}")
    want("log-odds", x @ w + b, log_p[1] - log_p[0], 1e-9)


@exercise(2)
def the_loss_of_a_support_vector_machine(hinge_forward: Answer, hinge_backward: Answer) -> None:
    """The hinge loss, away from its kink."""
    t = np.array([1.0, -1, 1, -1, 1, 1])
    scores = t * np.array([0.3, 2.0, -0.4, 0.6, 1.8, -2.0])
    want("loss", hinge_forward(scores, t)[0], np.mean([0.7, 0, 1.4, 0.4, 0, 3]), batch=6)
    assert_gradients(lambda s: hinge_forward(s, t), hinge_backward, [scores])


@exercise(3)
def a_product_that_nobody_has_bought(log_chance: Answer) -> None:
    """Naive Bayes with a made-up customer of each kind."""
    x, counts = np.array([[1.0, 0, 1], [0, 1, 0]]), np.array([0, 3, 8])
    got = log_chance(x, counts, 8)
    want("log p", got, np.log([1 / 10 * 6 / 10 * 9 / 10, 9 / 10 * 4 / 10 * 1 / 10]), 1e-9)


@exercise(4)
def draw_from_a_gaussian(draw_bell: Answer) -> None:
    """Mean and covariance of the rows, whatever root of the covariance is taken."""
    mean, cov = np.array([1.0, -2.0]), np.array([[2.0, 0.9], [0.9, 0.5]])
    rows = draw_bell(mean, cov, np.zeros((1, 2)))
    want("the row of noise 0", rows, mean[None], 1e-9)
    root = np.asarray(draw_bell(mean, cov, np.eye(2))) - mean  # what the unit vectors become
    want("covariance", root.T @ root, cov, 1e-9)
