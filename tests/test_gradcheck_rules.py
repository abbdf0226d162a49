"""What the checks say of passes that cannot be compared, leave gradients out, or mean something else."""

from __future__ import annotations

import numpy as np
import pytest

from minigen.gradcheck import GradientError, check_contract, check_direction
from minigen.gradcheck.catalogue import catalogue
from minigen.gradcheck.meaning import kl_is_0_at_the_prior, want
from minigen.gradcheck.report import gradient_rows


def test_a_model_without_all_its_gradients_has_no_direction():
    params = {"w": np.ones((4, 3)), "b": np.ones(3)}
    grads = {"w": np.ones((4, 1)), "b": np.ones(3)}
    with pytest.raises(GradientError, match="gradients: want 15 numbers, one a parameter, got 7"):
        check_direction(lambda p: float(sum(a.sum() for a in p.values())), grads, params)


def test_an_argument_without_a_gradient_is_within_the_contract():
    """None stays None: labels and masks have no slope, and the other gradients are held to every rule."""
    args = [np.array([[1.0, 2.0]]), np.array([[1.0, 0.0]])]
    check_contract(lambda x, mask: (x * mask, mask), lambda d_y, mask: (d_y * mask, None), args)
    with pytest.raises(GradientError, match="not linear"):
        check_contract(lambda x, mask: (x * mask, mask), lambda d_y, mask: (d_y * d_y, None), args)
    turns = iter([None, 1.0] * 9)
    with pytest.raises(GradientError, match="gave other gradients"):
        check_contract(lambda x, mask: (x * mask, mask), lambda d_y, mask: (d_y * mask, next(turns)), args)


def test_a_wrong_shape_is_told_before_any_number():
    with pytest.raises(GradientError, match=r"y: want shape \(2, 3\), got \(3, 2\)"):
        want("y", np.zeros((3, 2)), np.ones((2, 3)))
    want("a loss", np.array([0.5]), 0.5)  # a number has the shape that one likes


def test_a_divergence_that_is_nowhere_positive_is_refused():
    def backward(d_kl, cache):
        return np.zeros(cache.shape), np.zeros(cache.shape)

    with pytest.raises(GradientError, match=r"KL off the prior: want above 0, got 0$"):
        kl_is_0_at_the_prior(lambda mu, log_var: (0.0, mu), backward)
    with pytest.raises(GradientError, match="KL off the prior: want above 0, got -"):
        kl_is_0_at_the_prior(lambda mu, log_var: (float(-(mu**2).sum() + log_var.sum()), mu), backward)


def test_the_rows_of_a_quantity_whose_gradients_cannot_be_compared_say_why():
    dense = catalogue()["dense"]
    nothing = list(gradient_rows(dense._replace(backward=lambda d_y, cache: (None, None, None))))
    for row, name in zip(nothing, dense.wrt, strict=True):
        assert (row["ok"], row["rel_error"]) == (False, None)
        assert row["message"] == f"d_{name}: backward returned no gradient"


def test_an_overflow_in_a_pass_is_a_row_too():
    tanh = catalogue()["tanh"]
    (row,) = gradient_rows(tanh._replace(backward=lambda d_y, y: d_y * np.exp(1e4 * np.abs(y))))
    assert (row["ok"], row["rel_error"]) == (False, None)
    assert "overflow" in row["message"]


def test_what_is_checked_by_its_meaning_alone_has_no_rows_of_gradients():
    drawn = [quantity.name for quantity in catalogue().values() if quantity.draw is None]
    assert all(list(gradient_rows(catalogue()[name])) == [] for name in drawn)
    assert list(gradient_rows(catalogue()["tanh"]._replace(draw=None))) == []
