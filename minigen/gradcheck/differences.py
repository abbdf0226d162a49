"""Numeric derivatives of a function of one array, and how far they can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.ops.sparse import with_data
from minigen.typing import Array

STEP = 1e-3  # h = STEP max(1, |x|)
REL_TOL = 1e-6
_FIVE_POINT = ((-2, 1), (-1, -8), (1, 8), (2, -1))  # (multiple of h, weight), over 12 h: error h^4 f'''''/30
_COMPLEX_STEP = 1e-30  # nothing is subtracted, so it may be as small as it likes


class GradientError(AssertionError):
    """A gradient, or a piece of maths, that is not what it claims to be."""


def is_csr(x: Any) -> bool:
    """Whether x is a sparse matrix by rows."""
    return hasattr(x, "indptr")


def values(x: Any) -> Array:
    """The numbers of a dense array, of a scalar (0-d), or of a CSR matrix at its non-zeros."""
    return x.data if is_csr(x) else np.asarray(x)


def like(x: Any, data: Array) -> Any:
    """`data` in the form of x: a dense array, a float, or a CSR matrix of the pattern of x."""
    if is_csr(x):
        return with_data(x, data)
    return data if isinstance(x, np.ndarray) and x.ndim else data.item()


def steps(x: Array, step: float = STEP) -> Array:
    """The step h of each entry: relative where |x| is large, absolute where it is small."""
    return step * np.maximum(1, np.abs(x))


def along(f: Callable[[Array], Array], x: Array, move: Array) -> Array:
    """d/dt f(x + t move) at t = 0, times the unit of t: five-point differences with t = -2, -1, 1, 2."""
    return np.sum([weight * f(x + k * move) for k, weight in _FIVE_POINT], axis=0) / 12


def five_point(f: Callable[[Array], Array], x: Array, d_y: Array, step: float = STEP) -> Array:
    """d<f(x), d_y>/dx, entry by entry: of the shape of x.   [eq:five-point]

    The difference comes before the sum over outputs: one that x does not touch adds no roundoff.
    """
    h = steps(x, step)
    numeric = np.empty_like(x)
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[index] = h[index]
        numeric[index] = np.sum(along(f, x, move) * d_y) / h[index]
    return numeric


def complex_step(f: Callable[[Array], Array], x: Array, d_y: Array, index: tuple[int, ...]) -> float | None:
    """d<f(x), d_y>/dx at `index`, as Im f(x + i h) / h: free of cancellation.   [eq:complex-step]

    None where f does not take complex numbers.  Squire & Trapp 1998.
    """
    moved = x.astype(complex)
    moved[index] += 1j * _COMPLEX_STEP
    try:
        with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
            warnings.simplefilter("error")  # a cast back to real loses the derivative, with a mere warning
            y = f(moved)
            return float(np.sum(np.imag(y) * d_y)) / _COMPLEX_STEP
    except (TypeError, ValueError, ArithmeticError, Warning):
        return None


def roundoff(y: Array, d_y: Array, h: Array | float) -> Array:
    """What rounding alone can do to a difference quotient of L = <y, d_y>: 20 eps |L| / h.

    |L| is the sum of |y d_y|: terms that cancel in L have rounded all the same.
    """
    return np.asarray(20 * np.finfo(np.float64).eps * np.sum(np.abs(y * d_y)) / h)


def crosses_kink(f: Callable[[Array], Array], x: Array, step: float = STEP) -> bool:
    """Whether an entry moved by 2 h changes a sign of f(x), the values whose zeros are the kinks."""
    here, h = f(x) > 0, steps(x, step)
    for index in np.ndindex(x.shape):
        for side in (-2, 2):
            moved = x.copy()
            moved[index] += side * h[index]
            if ((f(moved) > 0) != here).any():
                return True
    return False
