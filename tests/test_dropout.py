"""Dropout and L2 normalisation: means, lengths, empty rows, one mask for both passes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from minigen import ops
from minigen.backends import load


def test_the_mask_keeps_with_the_asked_probability(rng):
    n, keep = 100_000, 0.3
    mask = ops.dropout_mask(n, keep, rng)
    assert set(np.unique(mask)) == {0, 1}
    assert abs(mask.mean() - keep) < 5 * np.sqrt(keep * (1 - keep) / n)
    assert ops.dropout_mask((2, 3), 1.0, rng).all()


def test_masks_are_independent_from_entry_to_entry(rng):
    mask = ops.dropout_mask((100_000, 2), 0.5, rng)
    assert abs(np.corrcoef(mask.T)[0, 1]) < 5 / np.sqrt(100_000)


def test_a_seed_draws_the_same_mask_again():
    masks = [ops.dropout_mask(50, 0.5, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(*masks)


def test_noise_equal_to_the_probability_is_dropped():
    """The noise is one of 0, 1, ... 2**24 - 1, over 2**24: a share of `keep` is below `keep`."""
    noise = np.random.default_rng(3).random(9, dtype=np.float32)
    mask = ops.dropout_mask(9, float(noise[4]), np.random.default_rng(3))
    np.testing.assert_array_equal(mask, noise < noise[4])


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.5, float("nan")])
def test_a_probability_out_of_range_is_refused(keep, rng):
    with pytest.raises(ValueError, match="want a probability above 0 and at most 1"):
        ops.dropout_mask(3, keep, rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_passes_scale_alike(dtype, rng):
    x = rng.standard_normal((4, 5)).astype(dtype)
    mask = ops.dropout_mask((4, 5), 0.4, rng)
    y, cache = ops.dropout_forward(x, mask, 0.4)
    d_x = ops.dropout_backward(x, cache)  # the operation is its own adjoint
    np.testing.assert_array_equal(y, d_x)
    np.testing.assert_allclose(y, np.where(mask, x / 0.4, 0), rtol=1e-6)
    assert y.dtype == d_x.dtype == dtype


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("size", [4, 2**12])
def test_a_mask_of_another_type_changes_no_dtype(backend, size, rng):
    twin, x = load(backend), rng.standard_normal(size).astype(np.float32)
    mask = ops.dropout_mask(size, 0.4, rng)
    wanted, _ = twin.dropout_forward(x, mask, 0.4)
    y, cache = twin.dropout_forward(x, mask.astype(np.float64), 0.4)
    d_x = twin.dropout_backward(x, cache)
    assert y.dtype == d_x.dtype == np.float32
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(d_x, wanted)


def test_dropout_shapes_that_differ_are_named():
    with pytest.raises(ValueError, match=r"mask: want the shape of x, \(4,\), got \(3,\)"):
        ops.dropout_forward(np.ones(4), np.ones(3), 0.5)


def test_rows_get_length_1_and_empty_ones_stay_empty():
    x = sparse.csr_matrix([[3.0, 0, 4], [0, 0, 0], [0, -2, 0]])
    y, cache = ops.l2_normalise_forward(x)
    np.testing.assert_allclose(y.toarray(), [[0.6, 0, 0.8], [0, 0, 0], [0, -1, 0]])
    np.testing.assert_array_equal(x.toarray(), [[3, 0, 4], [0, 0, 0], [0, -2, 0]])
    assert np.isfinite(ops.l2_normalise_backward(y, cache).data).all()


def test_the_gradient_along_a_row_is_0():
    """Longer rows give the same y, so nothing flows back along them; scaled rows give scaled gradients."""
    x = sparse.csr_matrix([[3.0, 0, 4], [1, 2, 0]])
    y, cache = ops.l2_normalise_forward(x)
    np.testing.assert_allclose(ops.l2_normalise_backward(y, cache).data, 0, atol=1e-15)
    d_y = y.copy()
    d_y.data[:] = [1.0, -2, 0.5, 3]
    half = ops.l2_normalise_backward(d_y, ops.l2_normalise_forward(2 * x)[1])
    np.testing.assert_allclose(2 * half.toarray(), ops.l2_normalise_backward(d_y, cache).toarray())


def test_normalise_an_explicit_zero_float32_and_no_rows():
    x = sparse.csr_matrix((np.zeros(1, np.float32), [1], [0, 1]), shape=(1, 3))
    y, cache = ops.l2_normalise_forward(x)
    assert y.dtype == ops.l2_normalise_backward(y, cache).dtype == np.float32
    assert y.data == [0]
    d_y = sparse.csr_matrix((np.full(1, 3, np.float32), [1], [0, 1]), shape=(1, 3))
    assert ops.l2_normalise_backward(d_y, cache).data == [3]  # the row was divided by nothing
    assert ops.l2_normalise_forward(sparse.csr_matrix((0, 3)))[0].shape == (0, 3)


def test_normalise_shapes_that_differ_are_named():
    x = sparse.csr_matrix([[3.0, 0, 4]])
    _, cache = ops.l2_normalise_forward(x)
    with pytest.raises(ValueError, match=r"d_y: want the shape of y, \(2,\), got \(1,\)"):
        ops.l2_normalise_backward(sparse.csr_matrix([[1.0, 0, 0]]), cache)
    for twin in (ops, load("numba")):
        with pytest.raises(ValueError, match=r"d_y: want the pattern of y, \(1, 3\) with 2 entries, got "):
            twin.l2_normalise_backward(sparse.csr_matrix([[3.0, 4, 0]]), cache)
        with pytest.raises(ValueError, match=r"d_y: want the shape of y, \(1, 3\), got \(1, 4\)"):
            twin.l2_normalise_backward(sparse.csr_matrix([[3.0, 0, 4, 0]]), cache)
