"""Adam on some rows: where it is Adam on all of them, and what it leaves alone until it catches up."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import ops
from minigen.backends import load
from minigen.ops.adam.numpy_adam import FLUSH_BELOW
from minigen.ops.sparse import Lines
from minigen.optimizers import Adam


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_adam_of_all_rows_is_adam(backend):
    rng = np.random.default_rng(4)
    twin = load(backend)
    w = rng.standard_normal((7, 5))
    whole, rows = w.copy(), w.copy()
    state, rows_state = ops.AdamState.zeros_like(w), ops.AdamState.zeros_like(w)
    settings = {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-2}
    for _ in range(5):
        d_w = rng.standard_normal(w.shape)
        ops.adam_step(whole, d_w, state, **settings)
        twin.adam_rows_step(rows, np.arange(7), d_w, rows_state, **settings)
    np.testing.assert_allclose(rows, whole, rtol=1e-12)
    assert rows_state.t == 5


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("shape", [(9,), (9, 4), (3000, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam_leaves_other_rows_alone(backend, shape, dtype):
    rng = np.random.default_rng(5)
    twin, w = load(backend), rng.standard_normal(shape).astype(dtype)
    before, state = w.copy(), ops.AdamState.zeros_like(w)
    reference, reference_state = w.copy(), ops.AdamState.zeros_like(w)
    for touched in (np.array([1, 4, 8]), np.array([0, 1]), np.array([], int), np.arange(2, shape[0], 2)):
        d_rows = rng.standard_normal((len(touched), *shape[1:])).astype(dtype)
        twin.adam_rows_step(w, touched, d_rows, state)
        ops.adam_rows_step(reference, touched, d_rows, reference_state)
    np.testing.assert_allclose(w, reference, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-7)
    np.testing.assert_array_equal(w[[3, 5, 7]], before[[3, 5, 7]])
    assert not np.any(w[[0, 1, 4, 8]] == before[[0, 1, 4, 8]])
    assert state.t == 4


@pytest.mark.parametrize("rows", [[1, 1], [2, 1], [-1, 2], [0, 9]])
def test_adam_wants_rows_that_are_there_once(rows):
    w = np.ones((9, 2))
    with pytest.raises(ValueError, match="ascending"):
        ops.adam_rows_step(w, np.array(rows), np.ones((2, 2)), ops.AdamState.zeros_like(w))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_unsigned_rows_must_ascend_too(backend):
    twin, w = load(backend), np.ones((6, 2))
    state, rows = twin.AdamState.zeros_like(w), np.array([1, 100, 3], np.uint64)
    with pytest.raises(ValueError, match="ascending"):
        twin.adam_rows_catch_up(w, rows, np.ones(3, int), state)  # before a first step, nothing moves
    with pytest.raises(ValueError, match="ascending"):
        twin.adam_rows_step(w, rows, np.ones((3, 2)), state)


def test_optimizer_moves_lines_of_either_axis():
    rng = np.random.default_rng(7)
    by_column, by_row = np.asfortranarray(rng.standard_normal((4, 9))), None
    by_row = by_column.T.copy()
    values, where = rng.standard_normal((4, 3)), np.array([1, 5, 6])
    one, other = Adam(), Adam()
    one.step({"w": by_column}, {"w": Lines(where, values, axis=1)})
    other.step({"w": by_row}, {"w": Lines(where, values.T)})
    np.testing.assert_array_equal(by_column.T, by_row)
    again = Adam()
    again.restore(one.arrays())
    again.step({"w": by_column}, {"w": Lines(where, values, axis=1)})
    other.step({"w": by_row}, {"w": Lines(where, values.T)})
    np.testing.assert_array_equal(by_column.T, by_row)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("shape", [(40,), (40, 3)])
def test_rows_that_catch_up_are_where_adam_would_have_them(backend, shape):
    rng = np.random.default_rng(13)
    twin, whole, start = load(backend), rng.standard_normal(shape), None
    lazy, state, adam = whole.copy(), ops.AdamState.zeros_like(whole), Adam(lr=0.01, ops=twin)
    for step in range(2000):
        rows = np.flatnonzero(rng.random(len(whole)) < 0.05)
        d_rows = rng.standard_normal((len(rows), *shape[1:]))
        ops.adam_step(whole, Lines(rows, d_rows).whole(shape), state, 0.01)
        adam.catch_up("w", lazy, rows)
        adam.step({"w": lazy}, {"w": Lines(rows, d_rows)})
        if step == 1500:  # the hats have stopped to change by much
            adam.catch_up("w", lazy)
            start, lazy[:] = whole.copy(), whole
    behind = np.abs(lazy - whole).max()
    adam.catch_up("w", lazy)
    np.testing.assert_allclose(adam.arrays()["m.w"], state.m, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(adam.arrays()["v.w"], state.v, rtol=1e-9, atol=1e-12)
    apart = np.abs(lazy - whole).max()
    assert apart < 0.01 * np.abs(whole - start).max()
    assert apart < behind / 5
    before = lazy.copy()
    adam.catch_up("w", lazy)  # nothing is missed twice
    np.testing.assert_array_equal(lazy, before)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_catching_up_follows_its_equation(backend):
    """Sums of powers one after the other, an eps that counts beside sqrt(v), and more rows than a block."""
    rng, n, t, missed = np.random.default_rng(16), 5000, 9, 4
    w, m = rng.standard_normal((2, n, 2))
    v, rows = rng.random((n, 2)), np.flatnonzero(np.arange(n) != 3)
    state, start = ops.AdamState(m.copy(), v.copy(), t), w.copy()
    settings = {"lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 0.1}
    load(backend).adam_rows_catch_up(w, rows, np.full(n - 1, missed), state, **settings)
    v_hat, m_hat = v / (1 - 0.95**t), m / (1 - 0.8**t)
    move = 0.01 * m_hat * sum(0.8**j for j in range(1, missed + 1)) / (np.sqrt(v_hat) + 0.1)
    left1, left2 = 0.8**missed * m, 0.95**missed * v
    for found, moved, before in ((w, start - move, start), (state.m, left1, m), (state.v, left2, v)):
        np.testing.assert_allclose(found[rows], moved[rows], rtol=1e-12)
        np.testing.assert_array_equal(found[3], before[3])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_only_moments_below_the_bound_are_flushed(backend):
    """Halved once, the first is the bound itself, and the second the next number below it."""
    twin, rows = load(backend), np.arange(2)
    calls = (
        lambda w, state: twin.adam_step(w, np.zeros(2), state, 0.1, 0.5, 0.5),
        lambda w, state: twin.adam_rows_step(w, rows, np.zeros(2), state, 0.1, 0.5, 0.5),
        lambda w, state: twin.adam_rows_catch_up(w, rows, np.ones(2, int), state, 0.1, 0.5, 0.5),
    )
    for call in calls:
        m = 2 * np.array([-FLUSH_BELOW, np.nextafter(FLUSH_BELOW, 0)])
        state = ops.AdamState(m, np.abs(m), t=63)
        call(np.ones(2), state)
        assert state.m.tolist() == [-FLUSH_BELOW, 0]
        assert state.v.tolist() == [FLUSH_BELOW, 0]
