"""Chapter 00: shapes, sums and means, purity."""

from __future__ import annotations

import numpy as np

from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError, assert_gradients
from minigen.gradcheck.meaning import want


@exercise(1)
def a_number_that_everybody_shares(shift_forward: Answer, shift_backward: Answer) -> None:
    """One bias (1,) for all entries of x."""
    x = np.random.default_rng(0).standard_normal((3, 2))
    assert_gradients(shift_forward, shift_backward, (x, np.array([0.5])))


@exercise(2)
def sums_and_means(half_squared_error: Answer) -> None:
    """Sum over a row, mean over rows."""
    rng = np.random.default_rng(1)
    for shape in ((4, 3), (8, 3), (4, 7)):
        y, x = rng.standard_normal((2, *shape))
        loss = sum((a - b) @ (a - b) / 2 for a, b in zip(y, x)) / shape[0]
        want(f"loss of a batch {shape}", half_squared_error(y, x), loss, batch=shape[0])


@exercise(3)
def pure(softmax_rows: Answer) -> None:
    """A softmax that leaves its argument alone and keeps its dtype."""
    logits = np.array([[800.0, 799.0], [-800.0, 0.0]], np.float32)
    before = logits.copy()
    p = softmax_rows(logits)
    if not np.array_equal(logits, before):
        raise GradientError("it has changed its argument")
    want("p", p, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], [0, 1]], 1e-6)
    if p.dtype != np.float32:
        raise GradientError(f"float32 went in, {p.dtype} came out")
