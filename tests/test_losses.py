"""Likelihoods in logits: values against scipy, extreme logits, buffers, sparse and dense targets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, special, stats

from minigen import ops
from minigen.backends import load
from minigen.losses import squares


@pytest.fixture
def rows(rng):
    x = np.where(rng.random((5, 11)) < 0.3, rng.uniform(0.5, 3, (5, 11)), 0)
    x[2] = 0
    return 3 * rng.standard_normal((5, 11)), sparse.csr_matrix(x)


def test_softmax_nll_is_scipys_log_softmax(rows):
    logits, x = rows
    loss, cache = ops.softmax_nll_forward(logits, x)
    log_p = special.log_softmax(logits, axis=1)
    assert loss == pytest.approx(-(x.toarray() * log_p).sum() / 5, rel=1e-13)
    by_logsumexp = x.sum(axis=1).A1 @ special.logsumexp(logits, axis=1) - (x.toarray() * logits).sum()
    assert loss == pytest.approx(by_logsumexp / 5, rel=1e-13)
    wanted = (x.toarray().sum(axis=1, keepdims=True) * np.exp(log_p) - x.toarray()) / 5
    np.testing.assert_allclose(ops.softmax_nll_backward(1.0, cache), wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("d_loss", [0.0, 2.0, -3.0])
def test_softmax_nll_pulls_any_gradient_of_the_loss_back(rows, d_loss):
    cache = ops.softmax_nll_forward(*rows)[1]
    once = ops.softmax_nll_backward(1.0, cache)
    np.testing.assert_array_equal(ops.softmax_nll_backward(d_loss, cache), d_loss * once)


def test_softmax_nll_with_one_click_is_the_log_probability_of_the_item(rng):
    logits = rng.standard_normal((1, 6))
    x = sparse.csr_matrix(([1.0], [3], [0, 1]), shape=(1, 6))
    p = stats.multinomial(1, special.softmax(logits[0]))
    assert ops.softmax_nll_forward(logits, x)[0] == pytest.approx(-p.logpmf(x.toarray()[0]), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_nll_at_extreme_logits(dtype):
    logits = np.array([[800, -800, 0], [-800, -800, -800]], dtype=dtype)
    x = sparse.csr_matrix(np.array([[1, 1, 0], [0, 0, 3]], dtype=dtype))
    loss, cache = ops.softmax_nll_forward(logits, x)
    d_logits = ops.softmax_nll_backward(1.0, cache)
    assert loss == pytest.approx((1600 + 3 * np.log(3)) / 2, rel=1e-6)
    np.testing.assert_allclose(d_logits, [[0.5, -0.5, 0], [0.5, 0.5, -1]], atol=1e-6)
    assert d_logits.dtype == dtype


def test_softmax_nll_does_not_see_a_shift_nor_an_empty_row(rows):
    logits, x = rows
    loss, cache = ops.softmax_nll_forward(logits, x)
    shifted, _ = ops.softmax_nll_forward(logits + 1000, x)
    assert shifted == pytest.approx(loss, rel=1e-10)
    assert not ops.softmax_nll_backward(1.0, cache)[2].any()
    nothing, cache = ops.softmax_nll_forward(logits[2:3], x[2:3])
    assert nothing == 0
    assert not ops.softmax_nll_backward(1.0, cache).any()


def test_softmax_nll_writes_over_the_logits_only_when_asked(rows):
    logits, x = rows
    before = logits.copy()
    loss, cache = ops.softmax_nll_forward(logits, x)
    np.testing.assert_array_equal(logits, before)
    in_place, in_place_cache = ops.softmax_nll_forward(logits, x, out=logits)
    assert in_place == loss
    assert in_place_cache.d_logits is logits
    np.testing.assert_array_equal(logits, cache.d_logits)


def test_softmax_nll_of_strided_logits(rows):
    logits, x = rows
    for other in (np.asfortranarray(logits), np.repeat(logits, 2, axis=1)[:, ::2]):
        assert ops.softmax_nll_forward(other, x)[0] == pytest.approx(ops.softmax_nll_forward(logits, x)[0])


def test_shapes_that_differ_are_named(rows):
    logits, x = rows
    for forward in (ops.softmax_nll_forward, ops.bernoulli_nll_forward):
        with pytest.raises(ValueError, match=r"x: want the shape of logits, \(5, 10\), got \(5, 11\)"):
            forward(logits[:, 1:], x)
    with pytest.raises(ValueError, match=r"out: want the shape of logits, \(5, 11\), got \(5, 10\)"):
        ops.softmax_nll_forward(logits, x, out=np.zeros((5, 10)))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_there_is_no_mean_of_no_rows(rows, backend):
    logits, x = rows
    for forward in (load(backend).softmax_nll_forward, load(backend).bernoulli_nll_forward):
        with pytest.raises(ValueError, match=r"logits: want shape \(1 or more, 11\), got \(0, 11\)"):
            forward(logits[:0], x[:0])


def test_bernoulli_nll_is_scipys(rng):
    logits, bits = rng.standard_normal((4, 6)), rng.integers(0, 2, (4, 6)).astype(float)
    loss, _ = ops.bernoulli_nll_forward(logits, bits)
    assert loss == pytest.approx(-stats.bernoulli(special.expit(logits)).logpmf(bits).sum() / 4, rel=1e-12)


def test_bernoulli_nll_takes_dense_and_sparse_bits_alike(rows):
    logits, x = rows
    x.data[:] = 1
    (dense, dense_cache), (sparse_, sparse_cache) = (
        ops.bernoulli_nll_forward(logits, bits) for bits in (x.toarray(), x)
    )
    assert sparse_ == pytest.approx(dense, rel=1e-14)
    d_dense, d_sparse = (ops.bernoulli_nll_backward(0.7, cache) for cache in (dense_cache, sparse_cache))
    np.testing.assert_allclose(d_sparse, d_dense, rtol=1e-14)


def test_bernoulli_nll_writes_over_the_logits_only_when_asked(rows):
    logits, x = rows[0].copy(), rows[1].astype(bool).astype(float)
    cache = ops.bernoulli_nll_forward(logits, x)[1]
    wanted = ops.bernoulli_nll_backward(0.7, cache)
    np.testing.assert_array_equal(logits, rows[0])
    assert ops.bernoulli_nll_backward(0.7, cache, out=logits) is logits
    np.testing.assert_array_equal(logits, wanted)
    with pytest.raises(ValueError, match="out: want"):
        ops.bernoulli_nll_backward(0.7, cache, out=np.zeros((1, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bernoulli_nll_at_extreme_logits(dtype):
    logits, bits = np.array([[800, -800, -800, 0]], dtype=dtype), np.array([[1, 0, 1, 0]], dtype=dtype)
    loss, cache = ops.bernoulli_nll_forward(logits, bits)
    assert loss == pytest.approx(800 + np.log(2), rel=1e-6)
    d_logits = ops.bernoulli_nll_backward(1.0, cache)
    np.testing.assert_allclose(d_logits, [[0, 0, -1, 0.5]], atol=1e-7)
    assert d_logits.dtype == dtype


def test_black_images_cost_nothing_to_a_decoder_that_says_black():
    loss, _ = ops.bernoulli_nll_forward(np.full((2, 9), -800.0), np.zeros((2, 9)))
    assert loss == 0


def test_a_sum_of_squares_keeps_its_digits():
    long, short = np.full((2**11, 2**12), 0.1, np.float32), np.float32([[3, 4]])
    wanted = 2**23 * float(np.float32(0.1)) ** 2 + 25
    for w in (long, np.asfortranarray(long)):  # a float32 sum of so many is wrong in its fourth digit
        assert squares(w, short) == pytest.approx(wanted, rel=1e-5)
    assert squares() == 0
