"""Slips in layers, activations, dropout and normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.slips.registry import wrong_backward, wrong_forward
from minigen.ops.dropout.numpy_dropout import DropoutCache
from minigen.ops.sparse import row_of_each, row_sums, with_data
from minigen.typing import CSR, Array


@wrong_backward("dense")
def transposed_d_w(d_y: Array, cache: Any) -> Any:
    """d_w = d_y^T x."""
    return d_y @ cache.w.T, d_y.T @ cache.x, d_y.sum(axis=0)


@wrong_backward("dense")
def mean_d_b(d_y: Array, cache: Any) -> Any:
    """d_b averaged over examples."""
    return d_y @ cache.w.T, cache.x.T @ d_y, d_y.mean(axis=0)


@wrong_backward("dense")
def unsummed_d_b(d_y: Array, cache: Any) -> Any:
    """d_b not summed over examples."""
    return d_y @ cache.w.T, cache.x.T @ d_y, d_y


@wrong_backward("dense")
def first_example(d_y: Array, cache: Any) -> Any:
    """d_w of the first example alone."""
    return d_y @ cache.w.T, np.outer(cache.x[0], d_y[0]), d_y.sum(axis=0)


@wrong_backward("dense", caught_by="contract")
def overwrites_x(d_y: Array, cache: Any) -> Any:
    """Backward writes d_x into the caller's x."""
    grads = ops.dense_backward(d_y, cache)
    cache.x[:] = grads[0]
    return grads


@wrong_backward("sparse-dense")
def binary_d_w(d_y: Array, cache: Any) -> Any:
    """d_w ignores the weights of the clicks."""
    d_x, _, d_b = ops.sparse_dense_backward(d_y, cache)
    return d_x, _ones(cache.x).T @ d_y, d_b


@wrong_backward("sparse-dense")
def d_x_by_row(d_y: Array, cache: Any) -> Any:
    """d_x takes the weights of the user's row for those of the item."""
    _, d_w, d_b = ops.sparse_dense_backward(d_y, cache)
    rows = row_of_each(cache.x)
    return with_data(cache.x, (d_y[rows] * cache.w[rows]).sum(axis=1)), d_w, d_b


def _ones(x: CSR) -> CSR:
    return with_data(x, np.ones_like(x.data))


def _binary_forward(x: CSR, w: Array, b: Array) -> Any:
    return ops.sparse_dense_forward(_ones(x), w, b)


@wrong_backward("sparse-dense", caught_by="sparse_equals_dense", forward=_binary_forward)
def binary_rows(d_y: Array, cache: Any) -> Any:
    """Both passes take every weight for 1."""
    _, d_w, d_b = ops.sparse_dense_backward(d_y, cache)
    return with_data(cache.x, np.zeros_like(cache.x.data)), d_w, d_b


@wrong_backward("tanh")
def one_minus_y(d_y: Array, y: Array) -> Array:
    """1 - y for 1 - y^2."""
    return d_y * (1 - y)


def _relu_caching_y(x: Array) -> Any:
    y = np.maximum(x, 0)
    return y, y


@wrong_backward("relu", forward=_relu_caching_y)
def mask_from_output(d_y: Array, y: Array) -> Array:
    """The mask asks whether the output is >= 0: always."""
    return d_y * (y >= 0)


@wrong_backward("sigmoid")
def applied_twice(d_y: Array, y: Array) -> Array:
    """The derivative takes the output for the input."""
    return d_y * ops.sigmoid(y) * (1 - ops.sigmoid(y))


@wrong_forward("sigmoid", caught_by="sigmoid_survives_800")
def overflowing(x: Array) -> Any:
    """e^x / (1 + e^x)."""
    y = np.exp(x) / (1 + np.exp(x))
    return y, y


@wrong_backward("dropout")
def scale_in_forward_only(d_y: Array, cache: Any) -> Array:
    """1/keep lost in backward."""
    return d_y * cache.mask


@wrong_backward("dropout")
def mask_in_forward_only(d_y: Array, cache: Any) -> Array:
    """The mask lost in backward."""
    return d_y / cache.keep


@wrong_forward("dropout", caught_by="dropout_keeps_the_mean")
def unscaled(x: Array, mask: Array, keep: float) -> Any:
    """1/keep lost in both passes."""
    return x * mask, DropoutCache(mask, 1.0)


@wrong_backward("l2-normalise")
def no_projection(d_y: CSR, cache: Any) -> CSR:
    """d_y / |x| alone: the length taken for a constant."""
    return with_data(d_y, d_y.data / cache.length[row_of_each(d_y)])


@wrong_backward("l2-normalise")
def length_squared(d_y: CSR, cache: Any) -> CSR:
    """Divided by |x| twice."""
    d_x = ops.l2_normalise_backward(d_y, cache)
    return with_data(d_x, d_x.data / cache.length[row_of_each(d_x)])


def _l1_forward(x: CSR) -> Any:
    length = row_sums(np.abs(x.data), x)
    length[length == 0] = 1
    return with_data(x, x.data / length[row_of_each(x)]), (x, length)


@wrong_backward("l2-normalise", caught_by="rows_have_length_1", forward=_l1_forward)
def sum_for_length(d_y: CSR, cache: Any) -> CSR:
    """Divided by the sum of the row, in both passes."""
    x, length = cache
    along = (row_sums(x.data * d_y.data, x) / length)[row_of_each(x)]
    return with_data(x, (d_y.data - np.sign(x.data) * along) / length[row_of_each(x)])
