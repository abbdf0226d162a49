"""Chapter 02: gradients by hand."""

from __future__ import annotations

import numpy as np

from minigen import ops
from minigen.exercises.registry import Answer, exercise
from minigen.exercises.same import same_as
from minigen.gradcheck import GradientError, assert_gradients


def _normal(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(shape) for shape in shapes]


@exercise(1)
def the_classic_diagonal(log_softmax_forward: Answer, log_softmax_backward: Answer) -> None:
    """A row-wise log-softmax, whose Jacobian is full."""
    (x,) = _normal((5, 4))
    y = np.exp(log_softmax_forward(x)[0]).sum(axis=1)
    if not np.allclose(y, 1):
        raise GradientError(f"log_softmax_forward: probabilities of a row add up to {y[0]:.4g}, want 1")
    try:
        assert_gradients(log_softmax_forward, log_softmax_backward, [x])
    except GradientError as error:
        y, cache = log_softmax_forward(x)
        d_y = np.ones_like(y)
        if np.allclose(log_softmax_backward(d_y, cache), d_y * (1 - np.exp(y))):
            raise GradientError(
                f"{error}; this is the diagonal of the Jacobian alone: every logit moves every output"
            ) from None
        raise


@exercise(2)
def who_divides_by_b(squared_error_forward: Answer, squared_error_backward: Answer) -> None:
    """A squared error, summed over columns and averaged over the batch."""
    y, t = _normal((7, 3), (7, 3))
    loss, wanted = squared_error_forward(y, t)[0], ((y - t) ** 2).sum() / 7
    if not np.isclose(loss, wanted):
        raise GradientError(f"squared_error_forward: want {wanted:.4g}, got {loss:.4g}: leave it as it was")
    assert_gradients(squared_error_forward, squared_error_backward, [y, t], wrt=["y"])


@exercise(3)
def two_paths(gated_forward: Answer, gated_backward: Answer) -> None:
    """A gated unit that uses x twice."""
    assert_gradients(gated_forward, gated_backward, _normal((5, 4), (4, 4)))


@exercise(4)
def a_test_of_meaning(unscaled_forward: Answer, keeps_the_mean: Answer) -> None:
    """A test that accepts a dropout which keeps the mean, and no other."""
    keeps_the_mean(ops.dropout_forward)
    try:
        keeps_the_mean(unscaled_forward)
    except GradientError:
        return
    raise GradientError("keeps_the_mean accepts a dropout that loses 60% of its input")


@exercise(5)
def a_kink(my_relu_forward: Answer, my_relu_backward: Answer) -> None:
    """A ReLU that remembers its output alone."""
    same_as("relu", my_relu_forward, my_relu_backward)
