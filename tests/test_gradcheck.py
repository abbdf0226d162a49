"""The gradient check: right gradients pass by the rule, wrong ones are named, weaker rules miss them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigen import ops
from minigen.gradcheck import (
    GradientError,
    assert_gradients,
    check_adjoint,
    check_backward,
    check_contract,
    check_direction,
    check_gradient,
)
from minigen.gradcheck.catalogue import catalogue
from minigen.gradcheck.explain import explain

QUANTITIES = catalogue()
CHECKS = [
    pytest.param(check, id=f"{quantity.name}-{name}")
    for quantity in QUANTITIES.values()
    for name, check in quantity.checks()
]


@pytest.mark.parametrize("check", CHECKS)
def test_every_quantity_passes_every_check(check):
    check()


@pytest.mark.parametrize("quantity", [q for q in QUANTITIES.values() if q.draw], ids=lambda q: q.name)
def test_every_quantity_at_another_point_and_by_the_adjoint_identity(quantity):
    quantity = quantity._replace(draw=lambda _: QUANTITIES[quantity.name].sample(seed=7))
    quantity.check_gradients(seed=8)
    if quantity.kinks is None:
        report = check_adjoint(
            quantity.forward, quantity.backward, quantity.sample(), names=quantity.names, wrt=quantity.wrt
        )
        assert report.ok, report.message


def test_a_cotangent_of_ones_misses_a_backward_of_zeros():
    """Softmax sums to one, so <softmax, 1> has no gradient: zeros look right under it."""

    def softmax(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True), x

    x = np.random.default_rng(0).standard_normal((3, 4))
    zeros = lambda d_y, cache: 0 * cache  # noqa: E731
    assert_gradients(softmax, zeros, [x], cotangent=np.ones((3, 4)))
    with pytest.raises(GradientError, match="analytic 0"):
        assert_gradients(softmax, zeros, [x])


def test_a_tolerance_of_a_percent_misses_what_the_rule_catches():
    """d (1 - y^2) off by half a percent: numeric and analytic agree to 1e-2, and not to 1e-6."""
    x = np.random.default_rng(0).standard_normal((3, 4))
    (report,) = check_backward(ops.tanh_forward, lambda d_y, y: 1.005 * ops.tanh_backward(d_y, y), [x])
    assert not report.ok
    assert report.rel_error < 1e-2


def test_plain_differences_reject_a_right_gradient_of_a_large_loss():
    """Roundoff is eps |L| / h: at L = 400 and h = 1e-5 it drowns a small entry; the rule allows for it."""
    x = np.array([1e-4, 0.3])
    loss = lambda x: (float(400 + (x * x).sum() / 2), x)  # noqa: E731
    h = 1e-5
    plain = (loss(x + np.array([h, 0]))[0] - loss(x - np.array([h, 0]))[0]) / (2 * h)
    assert abs(plain - 1e-4) > 1e-6 * 1e-4
    assert_gradients(loss, lambda d_loss, x: d_loss * x, [x])


def test_a_small_entry_is_held_to_its_own_size():
    """Wrong by 2e-6 of itself beside an entry a thousand times larger: nothing to the whole array."""
    x = np.array([1e-3, 1.0])
    loss = lambda x: (float((x * x).sum() / 2), x)  # noqa: E731
    (report,) = check_backward(loss, lambda d_loss, x: d_loss * (x + np.array([2e-9, 0])), [x])
    assert report.rel_error < 1e-6
    assert not report.ok
    assert report.index == (0,)


def test_a_whole_array_below_the_roundoff_does_not_pass():
    x = np.ones(3)
    loss = lambda x: (float(1e4 + 1e-9 * x.sum()), x)  # noqa: E731
    (report,) = check_backward(loss, lambda d_loss, x: np.full_like(x, 5e-9) * d_loss, [x])
    assert report.rel_error > 1e-6
    assert not report.ok


@pytest.mark.parametrize(
    "factor, words",
    [
        (2, "twice too much"),
        (0.5, "half of it"),
        (-1, "wrong sign"),
        (0, "nothing where there is something"),
        (5, "B = 5 times"),
        (0.2, "1/B of it"),
        (25, r"B\^2"),
        (-5, "-B times"),
    ],
)
def test_the_message_names_array_entry_values_ratio_and_slip(factor, words):
    x, w, b = (np.random.default_rng(0).standard_normal(shape) for shape in ((5, 4), (4, 3), (3,)))

    def backward(d_y, cache):
        d_x, d_w, d_b = ops.dense_backward(d_y, cache)
        d_w[2, 1] *= factor
        return d_x, d_w, d_b

    with pytest.raises(GradientError, match=words) as error:
        assert_gradients(ops.dense_forward, backward, [x, w, b])
    message = str(error.value)
    assert message.startswith("d_w[2, 1]: analytic ")
    assert f"ratio {factor:.4g}" in message
    assert "\n" not in message


def test_ratios_without_a_usual_slip_are_left_alone():
    assert explain(1.37, 5) == ""
    assert explain(5.0) == ""
    assert "not a number" in explain(math.nan)
    assert "something where there is nothing" in explain(math.inf)


def test_missing_and_misshapen_gradients_are_named():
    x = np.ones((3, 2))
    identity = lambda x: (x, None)  # noqa: E731
    with pytest.raises(GradientError, match="no gradient at all"):
        check_backward(identity, lambda d_y, _: None, [x])
    with pytest.raises(GradientError, match="d_x: backward returned no gradient"):
        check_backward(identity, lambda d_y, _: None, [x], wrt=["x"])
    with pytest.raises(GradientError, match=r"d_x: want shape \(3, 2\), got \(2, 3\)"):
        check_backward(identity, lambda d_y, _: d_y.T, [x])


def test_nan_is_never_right():
    (report,) = check_backward(ops.tanh_forward, lambda d_y, _: np.full_like(d_y, np.nan), [np.ones((2, 3))])
    assert not report.ok


def test_the_sample_is_not_touched_and_float32_is_widened():
    x = np.array([[0.3, -0.2]], dtype=np.float32)
    before = x.copy()
    (report,) = check_backward(ops.tanh_forward, ops.tanh_backward, [x])
    assert report.ok
    assert np.array_equal(x, before)


def test_points_at_a_kink_are_drawn_again():
    x = np.array([[1e-4, 2.0, -1.0]])
    assert not check_backward(ops.relu_forward, ops.relu_backward, [x])[0].ok
    assert check_backward(ops.relu_forward, ops.relu_backward, [x], kinks=lambda x: x)[0].ok
    with pytest.raises(ValueError, match="no point away"):
        check_backward(
            ops.relu_forward,
            ops.relu_backward,
            [x],
            kinks=lambda x: np.sin(np.outer(np.arange(1e4, 2e4, 100), x)),
        )


def test_names_fall_back_on_positions():
    forward = lambda *args: (args[0] * args[1], args)  # noqa: E731
    backward = lambda d_y, args: (d_y * args[1], d_y * args[0])  # noqa: E731
    reports = check_backward(forward, backward, [np.ones(3), np.full(3, 2.0)])
    assert [r.name for r in reports] == ["arg0", "arg1"]
    assert all(r.ok for r in reports)


def _model():
    rng = np.random.default_rng(0)
    params = {"w": rng.standard_normal((4, 3)), "b": rng.standard_normal(3)}
    x = rng.standard_normal((5, 4))

    def loss(params):
        y = np.tanh(x @ params["w"] + params["b"])
        return float((y * y).sum() / 5)

    y = np.tanh(x @ params["w"] + params["b"])
    d_a = 2 / 5 * y * (1 - y * y)
    return loss, {"w": x.T @ d_a, "b": d_a.sum(axis=0)}, params


def test_whole_models_by_name_and_along_a_random_direction():
    loss, grads, params = _model()
    assert all(r.ok for r in check_gradient(loss, grads, params))
    assert check_direction(loss, grads, params).ok
    wrong = grads | {"b": 0.5 * grads["b"]}
    reports = {r.name: r for r in check_gradient(loss, wrong, params)}
    assert reports["w"].ok
    assert "half of it" in reports["b"].message
    assert not check_direction(loss, wrong, params).ok
    with pytest.raises(GradientError, match="d_b: backward returned no gradient"):
        check_gradient(loss, {"w": grads["w"]}, params)


def test_whole_model_at_a_kink_is_refused():
    params = {"w": np.array([1e-4, 1.0])}
    with pytest.raises(ValueError, match="crosses a kink"):
        check_gradient(lambda p: float(abs(p["w"]).sum()), {"w": np.ones(2)}, params, kinks=lambda p: p["w"])


def test_the_adjoint_identity_fails_for_a_wrong_backward():
    args = [np.random.default_rng(0).standard_normal(shape) for shape in ((50, 40), (40, 30), (30,))]
    assert check_adjoint(ops.dense_forward, ops.dense_backward, args).ok

    def wrong(d_y, cache):
        d_x, d_w, d_b = ops.dense_backward(d_y, cache)
        d_w[7] = 0
        return d_x, d_w, d_b

    assert not check_adjoint(ops.dense_forward, wrong, args).ok


@pytest.mark.parametrize(
    "forward, backward, rule",
    [
        (lambda x: (x, np.negative(x, out=x)), lambda d_y, c: d_y, "forward: changed an argument"),
        (lambda x: (x * next(_COUNTER), None), lambda d_y, c: d_y, "another y"),
        (lambda x: (2 * x, None), lambda d_y, c: d_y * next(_COUNTER), "other gradients"),
        (lambda x: (2 * x, None), lambda d_y, c: np.multiply(d_y, 2, out=d_y), "changed d_y"),
        (lambda x: (2 * x, x), lambda d_y, x: np.copyto(x, d_y), "backward: changed an argument"),
        (lambda x: (2 * x, None), lambda d_y, c: d_y * np.abs(d_y), "not linear"),
        (lambda x: (x * np.float64(2) + np.zeros(3), None), lambda d_y, c: 2 * d_y, "want float32 out"),
    ],
)
def test_each_rule_of_the_contract_is_checked(forward, backward, rule):
    with pytest.raises(GradientError, match=rule):
        check_contract(forward, backward, [np.array([1.0, 2.0, 3.0])])


_COUNTER = iter(range(1, 1000))
