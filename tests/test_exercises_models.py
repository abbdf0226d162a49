"""Exercises of chapters 11 and 13: the slip that a reader would make is named in plain words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minigen.exercises.judge import verdict
from minigen.exercises.registry import asking_for


def same_ridge(x, keep, extra):
    gram = x.T @ x
    return np.linalg.solve(gram + ((1 - keep) / keep + extra) * np.eye(len(gram)), gram)


def ridge_upside_down(x, keep, extra):
    gram = x.T @ x
    return np.linalg.solve(
        gram + keep / (1 - keep) * np.diag(np.diag(gram)) + extra * np.eye(len(gram)), gram
    )


def ridge_not_divided(x, keep, extra):
    gram = x.T @ x
    return np.linalg.solve(gram + (1 - keep) * np.diag(np.diag(gram)) + extra * np.eye(len(gram)), gram)


def ridge_by_popularity(x, keep, extra):
    gram = x.T @ x
    return np.linalg.solve(
        gram + (1 - keep) / keep * np.diag(np.diag(gram)) + extra * np.eye(len(gram)), gram
    )


def mean_and_spread_constant(d_y, normal, inverse_std, gain):
    return d_y * gain * inverse_std


def spread_constant(d_y, normal, inverse_std, gain):
    d_n = d_y * gain
    return inverse_std * (d_n - d_n.mean(axis=1, keepdims=True))


def mixture(z, means, log_vars, shares, shift):
    off = means - z[:, None]
    slopes = off * np.exp(-log_vars)
    logs = np.log(shares) - 0.5 * (off * slopes + log_vars)
    parts = np.exp(logs - (logs.max(axis=1, keepdims=True) if shift else 0))
    return (parts * slopes).sum(axis=1) / np.maximum(parts.sum(axis=1), 0 if shift else 1e-320)


def not_shifted(*of):
    with np.errstate(all="ignore"):
        return mixture(*of, shift=False) / np.where(np.abs(of[0]) > 40, 0.0, 1.0)


def seen_the_person(x, weights, diagonal):
    return x @ weights


def diagonal_stays(x, weights, diagonal):
    r = x - x @ weights
    return x - r / (1 - x @ (r * diagonal))


SLIPS = [
    ("dropout_weights", same_ridge, "all items have the same ridge"),
    ("dropout_weights", ridge_upside_down, "upside down"),
    ("dropout_weights", ridge_not_divided, "the division by keep is lost"),
    ("dropout_weights", ridge_by_popularity, ""),
    ("norm_backward", mean_and_spread_constant, "a gradient along 1 must go"),
    ("norm_backward", spread_constant, "a gradient along n must go"),
    ("mixture_pull", lambda z, m, v, s: ((m - z[:, None]) * np.exp(-v)) @ s, "pull near the means"),
    ("mixture_pull", not_shifted, "take the largest log out first"),
    ("left_out", seen_the_person, "a fit that has seen the person"),
    ("left_out", diagonal_stays, "scores of person 0"),
    ("seen_by_d", lambda y, x, places: y * x, "the clicks alone"),
    ("seen_by_d", lambda y, x, places: y, "a place that was not drawn"),
    ("head_weights", lambda costs: 1 / costs, "the product of the weights: want 1"),
    ("head_weights", lambda costs: costs.mean() / costs, "with the arithmetic mean"),
    ("head_weights", lambda costs: np.ones(3), "weights[0]"),
    ("attack_area", lambda m, o: np.mean(m[:, None] > o), "a tie counts nothing"),
    ("attack_area", lambda m, o: np.mean(m[:, None] >= o), "a tie counts as a win"),
    ("attack_area", lambda m, o: 1 - np.mean(m[:, None] > o), "that of the others over the members"),
]


@pytest.mark.parametrize(("name", "answer", "words"), SLIPS)
def test_a_slip_is_named(name, answer, words, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = asking_for({name})
    assert found is not None
    said = verdict(found, {name: answer})
    assert words in said if words else said == ""
