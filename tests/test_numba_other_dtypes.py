"""What the Numba backend has no kernel for: NumPy computes it, to the same bytes; what both refuse."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy import sparse

from minigen import backends
from minigen.backends import threads
from minigen.ops.product import Product
from minigen.ops.sparse import with_data

NUMPY, NUMBA = backends.NUMPY, backends.load("numba")
ROWS = sparse.csr_matrix(np.array([[1, 0, 2, 0], [0, 0, 0, 0], [3, 1, 0, 4]], np.float32))
MIXED = pytest.mark.parametrize("dtype", [np.float64, np.int64])


def drawn(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def adam(ops, dtype):
    w, state = drawn(4, 3), ops.AdamState.zeros_like(drawn(4, 3))
    ops.adam_step(w, (9 * drawn(4, 3)).astype(dtype), state)
    ops.adam_rows_step(w, np.array([0, 2]), (9 * drawn(2, 3)).astype(dtype), state)
    wide = ops.AdamState(state.m.astype(np.float64), state.v.astype(np.float64), state.t)
    ops.adam_rows_catch_up(w, np.array([1, 2]), np.array([1, 3]), wide)
    return w, state.m, state.v, wide.m, wide.v


def normalise(ops, dtype):
    y, cache = ops.l2_normalise_forward(with_data(ROWS, ROWS.data.astype(np.float16)))
    other = with_data(ROWS, (9 * drawn(ROWS.nnz)).astype(dtype))
    _, single = ops.l2_normalise_forward(ROWS)
    return y.data, cache.length, ops.l2_normalise_backward(other, single).data


def first_layer(ops, dtype):
    w, b = (9 * drawn(4, 5)).astype(dtype), drawn(5)
    y, _ = ops.sparse_dense_forward(ROWS, w, b)
    _, cache = ops.sparse_dense_forward(ROWS, drawn(4, 5), b)
    d_w, d_b = ops.sparse_dense_backward((9 * drawn(3, 5)).astype(dtype), cache, False)[1:]
    return y, d_w, d_b


def likelihood(ops, dtype):
    nll, cache = ops.softmax_nll_forward(drawn(3, 4, dtype=np.float16), ROWS)
    wide = ops.softmax_nll_forward(drawn(3, 4), ROWS, out=np.empty((3, 4), np.float64))
    return nll, ops.softmax_nll_backward(1.0, cache), wide[0]


@pytest.mark.kernels
@MIXED
@pytest.mark.parametrize("room", [adam, normalise, first_layer, likelihood])
def test_what_is_not_all_float32_or_all_float64_is_as_numpy_has_it(room, dtype):
    for wanted, got in zip(room(NUMPY, dtype), room(NUMBA, dtype), strict=True):
        assert np.asarray(got).dtype == np.asarray(wanted).dtype
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.kernels
def test_a_product_of_another_dtype_is_multiplied_out():
    x, d_y = drawn(6, 4, dtype=np.float64), drawn(6, 3, dtype=np.float64)
    product = Product(x, d_y, np.empty((4, 3)), float(np.vdot(d_y, d_y)))
    w, same = drawn(4, 3), drawn(4, 3)
    NUMBA.adam_step(w, product, NUMBA.AdamState.zeros_like(w))
    NUMPY.adam_step(same, x.T @ d_y, NUMPY.AdamState.zeros_like(same))
    np.testing.assert_allclose(w, same, rtol=1e-6)
    assert w.dtype == np.float32


@pytest.mark.kernels
@pytest.mark.parametrize("ops", [NUMPY, NUMBA], ids=["numpy", "numba"])
def test_a_score_that_is_no_number_is_refused(ops):
    scores = np.array([[0.5, 1.0, 2.0], [1.0, np.nan, 0.0]], np.float32)
    with pytest.raises(ValueError, match="NaN"):
        ops.top_k(scores, 2)
    items, best = ops.top_k(scores[:1], 2)
    assert (items.tolist(), best.tolist()) == ([[2, 1]], [[2.0, 1.0]])


@pytest.mark.parametrize("policy", [None, "passive"])
def test_how_threads_wait_is_left_to_people_who_have_said_so(policy, monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    threads.settle()
    assert os.environ.get("GOMP_SPINCOUNT") == (None if policy else "10000")
