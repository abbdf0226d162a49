"""The dense layer on CSR rows: equal to the dense one, and only the clicks are touched."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from minigen.backends import load
from minigen.ops import dense_backward, dense_forward, sparse_dense_backward, sparse_dense_forward
from minigen.ops.sparse import rank_in_row
from minigen.ops.sparse_dense import numpy_sparse_dense


@pytest.fixture
def layer(rng):
    x = sparse.random(6, 50, density=0.1, format="csr", random_state=1)
    x = sparse.csr_matrix(x.multiply(np.array([[1], [1], [0], [1], [1], [1]])))  # the third row is empty
    x.eliminate_zeros()
    return x, rng.standard_normal((50, 4)), rng.standard_normal(4)


def test_both_passes_equal_the_dense_layer(layer, rng):
    x, w, b = layer
    y, cache = sparse_dense_forward(x, w, b)
    y_dense, cache_dense = dense_forward(x.toarray(), w, b)
    np.testing.assert_allclose(y, y_dense, rtol=1e-12)
    d_y = rng.standard_normal(y.shape)
    (d_x, d_w, d_b), (d_x_dense, d_w_dense, d_b_dense) = (
        sparse_dense_backward(d_y, cache), dense_backward(d_y, cache_dense),
    )  # fmt: skip
    np.testing.assert_allclose(d_x.toarray(), np.where(x.toarray() != 0, d_x_dense, 0), rtol=1e-12)
    np.testing.assert_allclose(d_w, d_w_dense, rtol=1e-12)
    np.testing.assert_array_equal(d_b, d_b_dense)
    assert sparse_dense_backward(d_y, cache, with_d_x=False)[0] is None


def test_empty_rows_and_items_without_clicks(layer):
    x, w, b = layer
    y, cache = sparse_dense_forward(x, w, b)
    np.testing.assert_array_equal(y[2], b)
    d_w = sparse_dense_backward(np.ones_like(y), cache)[1]
    unseen = np.diff(x.tocsc().indptr) == 0
    assert unseen.any()
    assert not d_w[unseen].any()
    empty = sparse.csr_matrix((3, 50))
    y, cache = sparse_dense_forward(empty, w, b)
    d_x, d_w, _ = sparse_dense_backward(y, cache)
    assert d_x.nnz == 0
    assert not d_w.any()


def test_ranks_are_those_of_each_row_by_itself(layer, rng):
    x = layer[0]
    keys = rng.random(x.nnz)
    for start, stop in pairwise(x.indptr):
        own = slice(start, stop)
        np.testing.assert_array_equal(rank_in_row(x, keys)[own], np.argsort(np.argsort(keys[own])))


def test_clicks_beyond_one_chunk(rng):
    """More non-zeros than d_x takes in a pass, and no multiple of it."""
    x = sparse.csr_matrix(rng.uniform(1, 2, (50, 83)))
    w, d_y = rng.standard_normal((83, 2)), rng.standard_normal((50, 2))
    assert x.nnz == 4150
    d_x = sparse_dense_backward(d_y, sparse_dense_forward(x, w, np.zeros(2))[1])[0]
    np.testing.assert_allclose(d_x.toarray(), d_y @ w.T, rtol=1e-10)


def test_a_gradient_written_in_several_passes_is_the_same(layer, rng, monkeypatch):
    x, w, b = layer
    y, cache = sparse_dense_forward(x, w, b)
    d_y, out = rng.standard_normal(y.shape), np.full(w.shape, np.nan)
    whole = sparse_dense_backward(d_y, cache)[1]
    for entries in (1, 28, 2**18):  # 1, 7 and all of the 50 rows in a pass
        monkeypatch.setattr(numpy_sparse_dense, "_BLOCK", entries)
        assert sparse_dense_backward(d_y, cache, out=out)[1] is out
        np.testing.assert_array_equal(out, whole)
        out[:] = np.nan


def test_float32_stays_and_fortran_order_fits(layer):
    x, w, b = (a.astype(np.float32) for a in layer)
    y, cache = sparse_dense_forward(x, np.asfortranarray(w), b)
    np.testing.assert_allclose(y, sparse_dense_forward(x, w, b)[0], rtol=1e-5)
    assert {a.dtype for a in (y, *sparse_dense_backward(y, cache))} == {np.dtype(np.float32)}


def test_shapes_that_do_not_fit_are_named(layer):
    x, w, b = layer
    with pytest.raises(ValueError, match=r"x: want shape \(any, 49\), got \(6, 50\)"):
        sparse_dense_forward(x, w[1:], b)
    for twin in (sparse_dense_forward, load("numba").sparse_dense_forward):
        with pytest.raises(ValueError, match=r"w: want shape \(any, any\), got \(50,\)"):
            twin(x, w[:, 0], b)
    with pytest.raises(ValueError, match=r"b: want shape \(4\), got \(5,\)"):
        sparse_dense_forward(x, w, np.zeros(5))
    with pytest.raises(ValueError, match=r"d_y: want shape \(6, 4\), got \(4, 6\)"):
        sparse_dense_backward(np.zeros((4, 6)), sparse_dense_forward(x, w, b)[1])
