"""Chapter 11: dropout as a ridge, layer normalisation, mixtures, a person left out, what D may see."""

from __future__ import annotations

import numpy as np

from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError
from minigen.gradcheck.meaning import want
from minigen.ops.composite_prior.numpy_composite_prior import (
    composite_log_prob_backward,
    composite_log_prob_forward,
)
from minigen.ops.layernorm.numpy_layernorm import layer_norm_backward, layer_norm_forward


@exercise(1)
def the_ridge_of_dropout(dropout_weights: Answer) -> None:
    """The weights where the mean over all masks has no slope."""
    rng = np.random.default_rng(1)
    x, keep, extra = (rng.random((30, 4)) < [0.9, 0.5, 0.3, 0.2]).astype(float), 0.6, 0.3
    got = np.asarray(dropout_weights(x.copy(), keep, extra), dtype=float)
    gram = x.T @ x
    popularity = np.diag(np.diag(gram))
    wanted = np.linalg.solve(gram + (1 - keep) / keep * popularity + extra * np.eye(4), gram)
    for slip, ridge in (
        ("all items have the same ridge", np.eye(4)),
        ("the factor is keep / (1 - keep), upside down", (keep / (1 - keep)) ** 2 * popularity),
        ("the factor is 1 - keep: the division by keep is lost", keep * popularity),
    ):
        wrong = np.linalg.solve(gram + (1 - keep) / keep * ridge + extra * np.eye(4), gram)
        if got.shape == wrong.shape and np.allclose(got, wrong):
            raise GradientError(f"w: the mean over masks has a lower minimum; {slip}")
    want("w", got, wanted, 1e-9)


@exercise(2)
def normalised_and_back(norm_backward: Answer) -> None:
    """The slope of layer normalisation, where gradients along 1 and along n are nothing."""
    rng = np.random.default_rng(2)
    x, gain, d_y = rng.normal(size=(4, 6)), rng.uniform(0.5, 2, 6), rng.normal(size=(4, 6))
    _, cache = layer_norm_forward(x, gain, np.zeros(6))
    normal, inverse_std, _ = cache
    for words, along in (
        ("a shift of a row changes no output, so a gradient along 1 must go", np.ones((4, 6))),
        ("the length of a row changes no output, so a gradient along n must go", normal),
    ):
        d_x = np.asarray(norm_backward(along / gain, normal, inverse_std, gain), dtype=float)
        if np.abs(d_x).max() > 1e-3:
            raise GradientError(f"d_x: want about 0, got {np.abs(d_x).max():.3g}; {words}")
    want("d_x", norm_backward(d_y, normal, inverse_std, gain), layer_norm_backward(d_y, cache)[0], 1e-10)


@exercise(3)
def the_pull_of_a_mixture(mixture_pull: Answer) -> None:
    """The slope of log p under the composite prior, near its means and far from them."""
    means, log_vars, shares = np.array([0, 2.5, 0]), np.array([0, -1.8, 10]), np.array([0.15, 0.75, 0.1])
    for place, words in (((-1.0, 0.3, 2.4), "near the means"), ((60.0, -45.0), "far from all means")):
        z = np.array(place)
        old = np.full((len(z), 1), means[1]), np.full((len(z), 1), log_vars[1])
        _, cache = composite_log_prob_forward(z[:, None], *old, tuple(shares))
        wanted = composite_log_prob_backward(np.ones(len(z)), cache)[:, 0]
        got = np.asarray(mixture_pull(z, means, log_vars, shares), dtype=float)
        if not np.isfinite(got).all():
            raise GradientError(f"{words}: {got}; all densities are 0 there: take the largest log out first")
        want(f"pull {words}", got, wanted, 1e-9)


@exercise(4)
def without_the_person(left_out: Answer) -> None:
    """EASE fitted on everybody else."""
    rng = np.random.default_rng(4)
    x, l2 = (rng.random((12, 5)) < 0.5).astype(float), 1.5

    def fitted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = np.linalg.inv(rows.T @ rows + l2 * np.eye(5))
        weights = -p / np.diag(p)
        np.fill_diagonal(weights, 0)
        return weights, np.diag(p)

    of_all = fitted(x)
    for person in (0, 7):
        wanted = x[person] @ fitted(np.delete(x, person, axis=0))[0]
        got = np.asarray(left_out(x[person].copy(), *of_all), dtype=float)
        if got.shape == wanted.shape and np.allclose(got, x[person] @ of_all[0]):
            raise GradientError("the scores are those of a fit that has seen the person")
        want(f"scores of person {person}", got, wanted, 1e-9)


@exercise(5)
def what_d_may_see(seen_by_d: Answer) -> None:
    """Partial masking: clicks and drawn places."""
    y, x = np.array([[0.9, 0.2, 0.4, 0.7]]), np.array([[1.0, 0, 0, 1]])
    places = np.array([[0.0, 1, 0, 0]])
    got = np.asarray(seen_by_d(y.copy(), x.copy(), places.copy()), dtype=float)
    if got.shape == y.shape and got[0, 1] == 0:
        raise GradientError("D sees the clicks alone: a row of ones would pass for real")
    if got.shape == y.shape and got[0, 2] != 0:
        raise GradientError("D sees a place that was not drawn")
    want("what D sees", got, [[0.9, 0.2, 0, 0.7]])
