"""Where training starts: random weights of the right size."""

from __future__ import annotations

import numpy as np

from minigen.typing import Array


def xavier_uniform(
    n_in: int, n_out: int, rng: np.random.Generator, dtype: np.dtype | type = np.float32
) -> Array:
    """Draw w (I, O) from U(-a, a), a = sqrt(6 / (I + O)).   [eq:xavier]

    Keeps the variance of forward and backward signals near 1 for tanh.  Glorot & Bengio 2010, eq. 16.
    """
    bound = np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-bound, bound, (n_in, n_out)).astype(dtype)


def he_normal(n_in: int, n_out: int, rng: np.random.Generator, dtype: np.dtype | type = np.float32) -> Array:
    """Draw w (I, O) from N(0, 2 / I): twice Xavier's, since ReLU drops half.   [eq:he]

    He et al. 2015, eq. 10.
    """
    return (np.sqrt(2 / n_in) * rng.standard_normal((n_in, n_out))).astype(dtype)


def truncated_normal(
    size: int, std: float, rng: np.random.Generator, dtype: np.dtype | type = np.float32
) -> Array:
    """Draw b (size,) from N(0, std^2), drawn again beyond two standard deviations."""
    values = rng.standard_normal(size)
    while (far := np.abs(values) > 2).any():
        values[far] = rng.standard_normal(int(far.sum()))
    return (std * values).astype(dtype)
