"""The composite prior, NumPy reference: a standard Gaussian, the posterior of before, a broad Gaussian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigen.ops.checks import want_same_shape, want_shape
from minigen.typing import Array

SHARES = (3 / 20, 3 / 4, 1 / 10)
BROAD_LOG_VAR = 10.0
_LOG_2PI = math.log(2 * math.pi)


class CompositePriorCache(NamedTuple):
    """For each component of share above 0: its part in the density at z, and its slope there, (K, B, Z)."""

    parts: Array
    slopes: Array


def composite_log_prob_forward(
    z: Array, mu: Array, log_var: Array, shares: Sequence[float] = SHARES
) -> tuple[Array, CompositePriorCache]:
    """log p(z) (B,) of each row of z (B, Z), a density, in nats:   [eq:composite-prior]

    p(z) = prod_j (s_0 N(z_j; 0, 1) + s_1 N(z_j; mu_j, exp(log_var_j)) + s_2 N(z_j; 0, e^10)).
    mu, log_var (B, Z) of the old posterior are data.
    Raises ValueError where the shapes differ, or the shares are not three of sum 1.
    Shenbin et al. 2020, whose text mixes whole codes; by coordinate as in the authors' code.
    """
    want_same_shape(z=z, mu=mu, log_var=log_var)
    if len(shares) != 3 or min(shares) < 0 or not math.isclose(sum(shares), 1):
        raise ValueError(f"shares: want three of at least 0 and of sum 1, got {tuple(shares)}")
    zero, broad = z.dtype.type(0), z.dtype.type(BROAD_LOG_VAR)
    components = zip(shares, ((zero, zero), (mu, log_var), (zero, broad)))
    kept = [(math.log(share), *_normal(z, *gaussian)) for share, gaussian in components if share]
    logs = np.stack([log_share + log_p for log_share, log_p, _ in kept])
    # The largest goes out of the sum before exp sees it: far from every mean all three underflow.
    top = logs.max(axis=0)
    parts = np.exp(logs - top)
    total = parts.sum(axis=0)
    parts /= total
    log_p = (top + np.log(total)).sum(axis=1)
    return log_p, CompositePriorCache(parts, np.stack([slope for _, _, slope in kept]))


def composite_log_prob_backward(d_log_p: Array, cache: CompositePriorCache) -> Array:
    """d_z = d_log_p sum_k r_k (mu_k - z) / var_k, r_k the part of k.   [eq:composite-prior-backward]

    d_log_p (B,).  The old posterior gets no gradient: it is what the new one is held to.
    """
    parts, slopes = cache
    want_shape("d_log_p", d_log_p, (parts.shape[1],))
    return d_log_p[:, None] * (parts * slopes).sum(axis=0)


def _normal(z: Array, mu: Any, log_var: Any) -> tuple[Array, Array]:
    """log N(z; mu, exp(log_var)) of each coordinate, and its derivative in z."""
    off = mu - z
    slope = off * np.exp(-log_var)
    return -0.5 * (off * slope + log_var + _LOG_2PI), slope
