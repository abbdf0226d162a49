"""The dense layer: shapes, buffers, dtypes and layouts; its gradients are in test_gradcheck.py."""

from __future__ import annotations

import numpy as np
import pytest

from minigen.backends import load
from minigen.ops import dense_backward, dense_forward


@pytest.fixture
def layer(rng):
    return rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)


def test_forward_adds_one_bias_to_every_example(layer):
    x, w, b = layer
    y, _ = dense_forward(x, w, b)
    for n in range(5):
        for o in range(3):
            assert y[n, o] == pytest.approx(sum(x[n, i] * w[i, o] for i in range(4)) + b[o], rel=1e-13)


def test_a_buffer_receives_the_result_and_changes_nothing(layer, rng):
    x, w, b = layer
    y, cache = dense_forward(x, w, b)
    out = np.full((5, 3), np.nan)
    assert dense_forward(x, w, b, out=out)[0] is out
    assert np.array_equal(out, y)
    d_y, d_w_out = rng.standard_normal((5, 3)), np.full((4, 3), np.nan)
    plain, buffered = dense_backward(d_y, cache), dense_backward(d_y, cache, out=d_w_out)
    assert buffered[1] is d_w_out
    assert all(map(np.array_equal, plain, buffered))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_follows_the_input(layer, dtype):
    y, cache = dense_forward(*(a.astype(dtype) for a in layer))
    assert {a.dtype for a in (y, *dense_backward(y, cache))} == {np.dtype(dtype)}


def test_non_contiguous_input(layer):
    x, w, b = layer
    y, cache = dense_forward(x, w, b)
    strided = np.repeat(x, 2, axis=1)[:, ::2], np.asfortranarray(w), np.repeat(b, 2)[::2]
    y_strided, cache_strided = dense_forward(*strided)
    np.testing.assert_allclose(y_strided, y, rtol=1e-13)
    for got, wanted in zip(dense_backward(y, cache_strided), dense_backward(y, cache)):
        np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_one_example_and_none(layer):
    x, w, b = layer
    for n in (1, 0):
        y, cache = dense_forward(x[:n], w, b)
        d_x, d_w, d_b = dense_backward(y, cache)
        assert (y.shape, d_x.shape, d_w.shape, d_b.shape) == ((n, 3), (n, 4), (4, 3), (3,))
    assert not d_w.any()


def test_shapes_that_do_not_fit_are_named(layer):
    x, w, b = layer
    with pytest.raises(ValueError, match=r"x: want shape \(any, 4\), got \(4, 5\)"):
        dense_forward(x.T, w, b)
    for twin in (dense_forward, load("numba").dense_forward):
        with pytest.raises(ValueError, match=r"w: want shape \(any, any\), got \(4,\)"):
            twin(x, w[:, 0], b)
    with pytest.raises(ValueError, match=r"b: want shape \(3\), got \(4,\)"):
        dense_forward(x, w, np.zeros(4))
    with pytest.raises(ValueError, match=r"out: want shape \(5, 3\), got \(3, 5\)"):
        dense_forward(x, w, b, out=np.zeros((3, 5)))
    _, cache = dense_forward(x, w, b)
    with pytest.raises(ValueError, match=r"d_y: want shape \(5, 3\), got \(1, 3\)"):
        dense_backward(np.zeros((1, 3)), cache)
