"""Activations: the functions themselves, saturated units, dtypes and layouts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from minigen import ops

PAIRS = {
    "tanh": (ops.tanh_forward, ops.tanh_backward, np.tanh),
    "relu": (ops.relu_forward, ops.relu_backward, lambda x: np.where(x > 0, x, 0)),
    "sigmoid": (ops.sigmoid_forward, ops.sigmoid_backward, special.expit),
}
pairs = pytest.mark.parametrize("forward, backward, reference", PAIRS.values(), ids=PAIRS)


@pairs
def test_forward_is_the_function(forward, backward, reference):
    x = np.array([-800.0, -30, -1.5, -1e-9, 0, 1e-9, 0.7, 30, 800])
    np.testing.assert_allclose(forward(x)[0], reference(x), rtol=1e-14, atol=1e-300)


@pairs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_units_pass_finite_gradients_of_the_same_dtype(forward, backward, reference, dtype):
    y, cache = forward(np.array([[-800, -90, 0, 90, 800]], dtype=dtype))
    d_x = backward(np.ones_like(y), cache)
    assert y.dtype == d_x.dtype == dtype
    assert np.isfinite(y).all()
    assert np.isfinite(d_x).all()
    if reference is not PAIRS["relu"][2]:
        np.testing.assert_array_equal(d_x[0, [0, 4]], 0)


@pairs
def test_strided_input_and_any_number_of_axes(forward, backward, reference, rng):
    x = rng.standard_normal((3, 4, 10))[:, :, ::2]
    y, cache = forward(x)
    np.testing.assert_array_equal(y, forward(np.ascontiguousarray(x))[0])
    assert backward(np.ones(x.shape), cache).shape == x.shape


@pairs
def test_shapes_that_differ_are_named(forward, backward, reference):
    _, cache = forward(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"d_y: want the shape of ., \(2, 3\), got \(3,\)"):
        backward(np.zeros(3), cache)


def test_relu_passes_nothing_at_zero_and_below():
    _, cache = ops.relu_forward(np.array([-1.0, 0.0, 1e-300]))
    np.testing.assert_array_equal(ops.relu_backward(np.ones(3), cache), [0, 0, 1])


def test_leaky_relu_leaks_at_zero_and_below():
    _, cache = ops.leaky_relu_forward(np.array([-1.0, 0.0, 1e-300]))
    np.testing.assert_array_equal(ops.leaky_relu_backward(np.ones(3), cache), [0.2, 0.2, 1])


def test_softplus_is_the_log_of_1_plus_exp():
    x = np.array([-800.0, -40, -1, 0, 1, 40, 800])
    np.testing.assert_allclose(ops.softplus(x), np.logaddexp(0, x), rtol=1e-14)
    assert ops.softplus(x.astype(np.float32)).dtype == np.float32


def test_sigmoid_keeps_its_digits_in_the_tail():
    np.testing.assert_allclose(ops.sigmoid(np.array([-700.0])), np.exp(-700), rtol=1e-14)
