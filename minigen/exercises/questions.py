"""Chapter 14: divergences, and newcomers."""

from __future__ import annotations

import numpy as np

from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError
from minigen.gradcheck.meaning import want


@exercise(1)
def a_divergence_that_is_symmetric_and_bounded(jensen_shannon: Answer) -> None:
    """Jensen-Shannon of distributions that overlap, and that do not."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3])
    m = (p + q) / 2
    right = ((p * np.log(p / m)).sum() + (q * np.log(q / m)).sum()) / 2
    want("JSD", jensen_shannon(p, q), right)
    want("JSD the other way", jensen_shannon(q, p), right)
    want("JSD of what never overlaps", jensen_shannon(np.array([1.0, 0]), np.array([0, 1.0])), np.log(2))


@exercise(2)
def the_gaussian_that_covers(covering_gaussian: Answer) -> None:
    """Mean and variance of p."""
    x, p = np.array([-2.0, -1, 0, 4]), np.array([0.2, 0.5, 0.1, 0.2])
    mean, var = covering_gaussian(x, p)
    want("mean", mean, -0.1)
    want("variance", var, 4.49)


@exercise(3)
def places_for_newcomers(with_newcomers: Answer) -> None:
    """Every third place, while there are newcomers."""
    for ranked, new, every, right in (
        ([1, 2, 3, 4, 5, 6, 7], [91, 92, 93], 3, [1, 2, 91, 3, 4, 92, 5]),
        ([1, 2, 3, 4, 5], [91], 2, [1, 91, 2, 3, 4]),
        ([1, 2], [91], 3, [1, 2]),
        ([1, 2, 3, 4], [3, 92], 2, [1, 3, 2, 92]),
    ):
        got = list(with_newcomers(list(ranked), list(new), every))
        if got != right:
            raise GradientError(f"{ranked} with {new} at every {every}. place: want {right}, got {got}")
