"""Optimisers: Adam and SGD step by step against the plain formulas, flushed moments, saved states."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import ops
from minigen.ops.adam.numpy_adam import FLUSH_BELOW, FLUSH_EVERY
from minigen.optimizers import SGD, Adam, make_optimizer


class PlainAdam:
    """Algorithm 1 of Kingma & Ba 2015, a line a line."""

    def __init__(self, shape):
        self.m = self.v = np.zeros(shape)
        self.t = 0

    def step(self, w, d_w, lr, beta1, beta2, eps):
        self.t += 1
        self.m = beta1 * self.m + (1 - beta1) * d_w
        self.v = beta2 * self.v + (1 - beta2) * d_w**2
        m_hat = self.m / (1 - beta1**self.t)
        v_hat = self.v / (1 - beta2**self.t)
        return w - lr * m_hat / (np.sqrt(v_hat) + eps)


# One entry; a plain matrix; one block of the walk and one entry more.
@pytest.mark.parametrize("shape", [(1,), (7, 5), (16_385,)])
def test_adam_follows_the_algorithm_for_a_hundred_steps(shape, rng):
    w = rng.standard_normal(shape)
    plain_w, plain, state = w.copy(), PlainAdam(shape), ops.AdamState.zeros_like(w)
    settings = {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-6}
    for _ in range(100):
        d_w = rng.standard_normal(shape)
        before = d_w.copy()
        ops.adam_step(w, d_w, state, **settings)
        plain_w = plain.step(plain_w, before, **settings)
        np.testing.assert_array_equal(d_w, before)
    np.testing.assert_allclose(w, plain_w, rtol=1e-11)
    np.testing.assert_allclose(state.m, plain.m, rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(state.v, plain.v, rtol=1e-11)
    assert state.t == 100


def test_the_first_step_is_lr_whatever_the_size_of_the_gradient():
    for size in (1e-3, 1.0, 1e3):
        w = np.zeros(2)
        ops.adam_step(w, np.array([size, -size]), ops.AdamState.zeros_like(w), lr=0.1)
        np.testing.assert_allclose(w, [-0.1, 0.1], rtol=1e-4)


def test_moments_without_gradients_are_flushed_before_they_turn_denormal():
    w = np.ones(3, dtype=np.float32)
    state = ops.AdamState.zeros_like(w)
    ops.adam_step(w, np.array([1, 1e-16, 0], dtype=np.float32), state)
    smallest = np.inf
    for _ in range(2000):
        ops.adam_step(w, np.zeros(3, dtype=np.float32), state)
        moments = np.abs(np.concatenate([state.m, state.v]))
        smallest = min(smallest, moments[moments > 0].min(initial=np.inf))
    assert smallest > np.finfo(np.float32).tiny
    assert state.m.tolist() == [0, 0, 0]
    assert state.v[0] > FLUSH_BELOW
    assert state.v[1] == 0


def test_the_flush_waits_for_its_step():
    w = np.ones(1)
    state = ops.AdamState(np.array([FLUSH_BELOW / 2]), np.zeros(1), t=FLUSH_EVERY - 2)
    ops.adam_step(w, np.zeros(1), state)
    assert state.m[0] > 0
    ops.adam_step(w, np.zeros(1), state)
    assert state.m[0] == 0


def test_adam_takes_strided_gradients_and_refuses_strided_weights(rng):
    w, d_w = rng.standard_normal((4, 6)), rng.standard_normal((6, 4)).T
    other, states = w.copy(), [ops.AdamState.zeros_like(w) for _ in range(2)]
    ops.adam_step(w, d_w, states[0])
    ops.adam_step(other, np.ascontiguousarray(d_w), states[1])
    np.testing.assert_array_equal(w, other)
    with pytest.raises(ValueError, match="w: want a C-contiguous"):
        ops.adam_step(w.T, d_w.T, ops.AdamState.zeros_like(w.T))
    with pytest.raises(ValueError, match=r"d_w: want the shape of w, \(4, 6\), got \(6, 4\)"):
        ops.adam_step(w, d_w.T, states[0])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_follows_its_formula(momentum, rng):
    w = {"a": rng.standard_normal((3, 2))}
    plain, u = w["a"].copy(), np.zeros((3, 2))
    optimizer = SGD(0.1, momentum)
    for _ in range(20):
        d_w = rng.standard_normal((3, 2))
        before = d_w.copy()
        optimizer.step(w, {"a": d_w})
        np.testing.assert_array_equal(d_w, before)
        u = momentum * u + d_w
        plain -= 0.1 * u
    np.testing.assert_allclose(w["a"], plain, rtol=1e-12)


@pytest.mark.parametrize("make", [lambda: SGD(0.05), lambda: SGD(0.02, 0.9), lambda: Adam(0.05)])
def test_each_finds_the_minimum_and_goes_on_where_it_was_saved(make, rng):
    target = rng.standard_normal((4, 3))
    run, resumed = ({"w": np.zeros((4, 3))} for _ in range(2))
    grads = lambda params: {"w": params["w"] - target}  # noqa: E731
    one, first = make(), make()
    for _ in range(400):
        one.step(run, grads(run))
    np.testing.assert_allclose(run["w"], target, atol=1e-3)

    for _ in range(200):
        first.step(resumed, grads(resumed))
    second = make()
    second.restore({name: array.copy() for name, array in first.arrays().items()})
    for _ in range(200):
        second.step(resumed, grads(resumed))
    np.testing.assert_array_equal(resumed["w"], run["w"])


def test_settings_that_cannot_be_are_refused():
    for call in (
        lambda: SGD(0),
        lambda: SGD(0.1, 1.0),
        lambda: Adam(-1),
        lambda: make_optimizer("rmsprop", 1),
        lambda: make_optimizer("adam", 0.1, 0.9),  # it has a momentum of its own
    ):
        with pytest.raises(ValueError, match="want"):
            call()
    assert isinstance(make_optimizer("sgd", 0.1, 0.9), SGD)
    assert isinstance(make_optimizer("adam", 0.1), Adam)
