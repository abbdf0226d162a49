"""Perceptrons: what they compute, and the gradient of their gradient."""

from __future__ import annotations

import numpy as np
import pytest

from minigen.gradcheck import check_adjoint
from minigen.gradcheck.differences import five_point
from minigen.mlp import (
    ACTIVATIONS,
    init_mlp,
    input_gradient_backward,
    input_gradient_forward,
    mlp_backward,
    mlp_forward,
)

SIZES = [3, 7, 5, 1]


def perceptron(rng, activation="tanh", dtype=np.float64, sizes=SIZES):
    params = init_mlp(sizes, rng, activation, dtype)
    return {name: w + rng.standard_normal(w.shape).astype(dtype) / 5 for name, w in params.items()}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_last_layer_is_linear_and_the_others_are_not(activation, rng):
    params, x = perceptron(rng, activation), rng.standard_normal((4, 3))
    phi = ACTIVATIONS[activation].forward
    h = phi(x @ params["w0"] + params["b0"])[0]
    h = phi(h @ params["w1"] + params["b1"])[0]
    np.testing.assert_allclose(mlp_forward(x, params, activation)[0], h @ params["w2"] + params["b2"])


def test_weights_keep_the_variance_of_signals(rng):
    for activation in ("tanh", "relu", "leaky-relu"):
        params = init_mlp([300, 200, 1], rng, activation)
        std = np.sqrt(2 / 300 if activation != "tanh" else 2 / 500)
        assert params["w0"].std() == pytest.approx(std, rel=0.02)
        assert not params["b0"].any()
        assert params["w1"].dtype == np.float32


@pytest.mark.parametrize("sizes, activation", [([3], "tanh"), ([3, 2], "gelu")])
def test_what_cannot_be_built_is_named(sizes, activation, rng):
    with pytest.raises(
        ValueError, match="want two sizes or more and one of tanh, softplus, relu, leaky-relu"
    ):
        init_mlp(sizes, rng, activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_curvature_is_the_slope_of_the_slope(activation, rng):
    forward, backward, curvature = ACTIVATIONS[activation]
    h = rng.uniform(0.1, 2, 20) * rng.choice([-1, 1], 20)
    one = np.ones(20)
    numeric = five_point(lambda v: backward(one, forward(v)[1]), h, one)
    claimed = np.zeros(20) if curvature is None else curvature(forward(h)[1])
    np.testing.assert_allclose(claimed, numeric, atol=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_input_gradient_is_what_backward_gives(activation, rng):
    params, x = perceptron(rng, activation), rng.standard_normal((6, 3))
    y, cache = mlp_forward(x, params, activation)
    d_x, _ = mlp_backward(np.ones_like(y), cache)
    np.testing.assert_allclose(input_gradient_forward(cache)[0], d_x, rtol=1e-13)


def test_a_linear_perceptron_has_one_slope_everywhere(rng):
    params, x = perceptron(rng, sizes=[3, 1]), rng.standard_normal((4, 3))
    g, cache = input_gradient_forward(mlp_forward(x, params)[1])
    assert np.array_equal(g, np.tile(params["w0"].T, (4, 1)))
    d_g = rng.standard_normal((4, 3))
    d_x, grads = input_gradient_backward(d_g, cache)
    assert not d_x.any()
    assert not grads["b0"].any()
    np.testing.assert_allclose(grads["w0"], d_g.sum(axis=0)[:, None])


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_double_backward_at_full_size(activation, rng):
    sizes = [40, 64, 48, 32, 1]
    params = perceptron(rng, activation, sizes=sizes)

    def forward(x, *arrays):
        return input_gradient_forward(mlp_forward(x, dict(zip(params, arrays)), activation)[1])

    def backward(d_g, cache):
        d_x, grads = input_gradient_backward(d_g, cache)
        return (d_x, *(grads[name] for name in params))

    args, names = (rng.standard_normal((17, 40)), *params.values()), ["x", *params]
    # All 7,000 arguments move at once, so that h^4 of the usual step is not small enough.
    report = check_adjoint(forward, backward, args, names=names, step=1e-4)
    assert report.ok, report.message


def test_more_outputs_than_one_have_no_single_slope(rng):
    _, cache = mlp_forward(rng.standard_normal((4, 3)), perceptron(rng, sizes=[3, 5, 2]))
    with pytest.raises(ValueError, match=r"w of the last layer: want shape \(any, 1\), got \(5, 2\)"):
        input_gradient_forward(cache)
