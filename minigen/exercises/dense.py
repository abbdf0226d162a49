"""Chapter 03: dense layers and activations."""

from __future__ import annotations

import numpy as np

from minigen import ops
from minigen.exercises.registry import Answer, exercise
from minigen.exercises.same import same_as
from minigen.gradcheck import GradientError, assert_gradients
from minigen.gradcheck.catalogue import random_rows
from minigen.gradcheck.meaning import want


@exercise(1)
def weights_used_twice(tied_forward: Answer, tied_backward: Answer) -> None:
    """An autoencoder with tied weights."""
    rng = np.random.default_rng(1)
    assert_gradients(
        tied_forward, tied_backward, [rng.standard_normal((5, 4)), rng.standard_normal((4, 3)) / 2]
    )


@exercise(2)
def smooth_and_safe(elu_forward: Answer, elu_backward: Answer) -> None:
    """The exponential linear unit at any size of x."""
    want(
        "elu at -800, -1e-12, 800",
        elu_forward(np.array([-800.0, -1e-12, 800.0]))[0],
        [-1, -1e-12, 800],
        1e-20,
    )
    x = np.random.default_rng(1).standard_normal((5, 7))
    assert_gradients(elu_forward, elu_backward, [x], kinks=lambda x: x)


@exercise(3)
def two_users_one_item(scatter: Answer) -> None:
    """d_w of the sparse layer, scattered click by click."""
    rng = np.random.default_rng(1)
    x = random_rows(rng, 50, 30, 6).tocoo()
    d_y = rng.standard_normal((50, 3))
    found = scatter(x.col, x.row, x.data, d_y, x.shape[1])
    off = np.abs(found - x.T @ d_y).max(axis=1) > 1e-9
    shared = np.bincount(x.col, minlength=x.shape[1]) > 1
    if off.any():
        raise GradientError(
            f"d_w: {off.sum()} rows are wrong, {off[shared].sum()} of them of items with many users"
        )


@exercise(4)
def the_first_layer_is_different(first_weights: Answer) -> None:
    """Weights for rows of length 1."""
    rows, _ = ops.l2_normalise_forward(random_rows(np.random.default_rng(1), 500, 900, 20))
    w = first_weights(rows.shape[1], 100, np.random.default_rng(2))
    y, _ = ops.sparse_dense_forward(rows[2:], w, np.zeros(100))
    size = (y * y).mean()
    if not 0.9 < size < 1.1:
        raise GradientError(f"mean square of y: want 1, got {size:.2g}")


@exercise(5)
def from_an_empty_page(my_dense_forward: Answer, my_dense_backward: Answer) -> None:
    """The dense layer."""
    same_as("dense", my_dense_forward, my_dense_backward)


@exercise(6)
def both_passes_scale(my_dropout_forward: Answer, my_dropout_backward: Answer) -> None:
    """Dropout that keeps the mean."""
    same_as("dropout", my_dropout_forward, my_dropout_backward)
