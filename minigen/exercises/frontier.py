"""Chapter 13: variety, calibration, doubt, heads, an attack."""

from __future__ import annotations

import numpy as np

from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError
from minigen.gradcheck.meaning import want


@exercise(1)
def the_next_of_the_list(next_place: Answer) -> None:
    """Maximal marginal relevance, where the item that was chosen last is unlike the one before."""
    v = np.array([[1.0, 0], [0, 1], [0.98, 0.2], [0.2, 0.98], [0.6, 0.8]])
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    relevance = np.array([1.0, 0.9, 0.88, 0.7, 0.8])
    got = next_place(relevance.copy(), v @ v.T, [0, 1], 0.5)
    gain = 0.5 * relevance - 0.5 * (v @ v.T)[[0, 1]].max(axis=0)
    if got in (0, 1):
        raise GradientError(f"item {got} has been chosen already")
    right = int(np.argmax(np.where([True, True, False, False, False], -np.inf, gain)))
    if got != right:
        raise GradientError(
            f"after items 0 and 1: want {right}, got {got}, whose nearest of the chosen has "
            f"cosine {(v @ v.T)[[0, 1], got].max():.2f}"
        )


@exercise(2)
def bins_are_not_equal(error_of_bins: Answer) -> None:
    """Calibration error with bins of different sizes."""
    predicted, observed, size = np.array([0.1, 0.5, 0.9]), np.array([0.1, 0.4, 0.5]), np.array([70, 20, 10])
    want("error", error_of_bins(predicted, observed, size), 0.06)


@exercise(3)
def a_person_drawn(drawn_persons: Answer) -> None:
    """The variance of the draws is exp(log_var)."""
    mu, log_var = np.array([1.0, -2.0]), np.log([0.25, 4.0])
    rows = np.asarray(drawn_persons(mu, log_var, np.array([[0.0, 0], [1, 0], [0, 1]])))
    want("the draw of noise 0", rows[0], mu)
    want("standard deviations", np.diag(rows[1:] - mu), [0.5, 2.0])


@exercise(4)
def heads_cost_the_same(head_weights: Answer) -> None:
    """The least weighted sum under product 1."""
    costs = np.array([310.0, 42.0, 9.0])
    got = np.asarray(head_weights(costs.copy()), dtype=float)
    if got.shape == costs.shape and not np.isclose(got.prod(), 1):
        mean = "; with the arithmetic mean in G's place" if np.allclose(got * costs, costs.mean()) else ""
        raise GradientError(f"the product of the weights: want 1, got {got.prod():.4g}{mean}")
    want("weights", got, np.exp(np.log(costs).mean()) / costs, 1e-9)


@exercise(5)
def ties_count_half(attack_area: Answer) -> None:
    """The area under an attack's curve, with ties and without."""
    members, others = np.array([3.0, 2, 2]), np.array([2.0, 1])
    for scores, words, wanted in (
        ((np.array([3.0, 2.5, 2.5]), others), "without ties", 1.0),
        ((members, others), "with ties", 5 / 6),
    ):
        got = float(attack_area(*scores))
        for slip, value in (
            ("that of the others over the members", 1 - wanted),
            ("a tie counts nothing", np.mean(scores[0][:, None] > scores[1])),
            ("a tie counts as a win", np.mean(scores[0][:, None] >= scores[1])),
        ):
            if not np.isclose(got, wanted) and np.isclose(got, value):
                raise GradientError(f"area {words}: want {wanted:.4g}, got {got:.4g}: {slip}")
        want(f"area {words}", got, wanted, 1e-12)
