"""Chapter 08: tighter bounds."""

from __future__ import annotations

import numpy as np

from minigen.collapse import kl_per_dimension
from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import assert_gradients
from minigen.gradcheck.meaning import want


@exercise(1)
def a_weight_of_e_minus_800(log_mean: Answer) -> None:
    """The logarithm of a mean of weights that no float can hold."""
    log_w = np.array([[0.0, np.log(3)], [-800.0, -800 + np.log(3)], [900.0, 900.0]])
    want("log mean", log_mean(log_w), [np.log(2), -800 + np.log(2), 900], 1e-9)


@exercise(2)
def who_speaks_and_how_many(shares: Answer, effective: Answer) -> None:
    """The gradient of a log-mean-exp, and the effective sample size."""
    log_w = np.random.default_rng(1).standard_normal((5, 4))

    def forward(log_w: np.ndarray) -> tuple[float, np.ndarray]:
        return float((np.logaddexp.reduce(log_w, axis=1) - np.log(4)).sum()), log_w

    assert_gradients(forward, lambda d_loss, log_w: d_loss * shares(log_w), [log_w])
    want("effective sample size", effective(np.array([[7.0, 7, 7, 7], [0.0, -900, -900, -900]])), [4, 1])


@exercise(3)
def free_bits(free_bits_backward: Answer) -> None:
    """No slope for a dimension whose KL is below the floor."""
    rng = np.random.default_rng(1)
    mu, log_var = np.array([0.1, 1, 2]) * rng.standard_normal((7, 3)), 0.1 * rng.standard_normal((7, 3))

    def forward(mu: np.ndarray, log_var: np.ndarray) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
        return float(np.maximum(kl_per_dimension(mu, log_var), 0.2).sum()), (mu, log_var)

    def backward(d_loss: float, cache: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(d_loss * grad for grad in free_bits_backward(*cache, 0.2))

    assert_gradients(forward, backward, [mu, log_var])
