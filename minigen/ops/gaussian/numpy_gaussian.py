"""The Gaussian posterior q(z|x) = N(mu, exp(log_var)): sampling from it, and its KL to N(0, I)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.ops.checks import want_examples, want_same_shape
from minigen.typing import Array


class ReparameteriseCache(NamedTuple):
    """The standard deviation exp(log_var / 2) and the noise, each (B, Z)."""

    std: Array
    eps: Array


def reparameterise_forward(mu: Array, log_var: Array, eps: Array) -> tuple[Array, ReparameteriseCache]:
    """z = mu + exp(log_var / 2) eps, for eps ~ N(0, 1).   [eq:reparameterise]

    All (B, Z).  Raises ValueError where the shapes differ.  Kingma & Welling 2014, section 2.4.
    """
    want_same_shape(mu=mu, log_var=log_var, eps=eps)
    std = np.exp(log_var / 2)
    return mu + std * eps, ReparameteriseCache(std, eps)


def reparameterise_backward(d_z: Array, cache: ReparameteriseCache) -> tuple[Array, Array]:
    """d_mu = d_z;  d_log_var = d_z eps std / 2.   [eq:reparameterise-backward]

    d_mu is the array d_z itself, not a copy.
    """
    std, eps = cache
    want_same_shape(std=std, d_z=d_z)
    return d_z, d_z * eps * std / 2


class GaussianKLCache(NamedTuple):
    """The mean and the log-variance, each (B, Z)."""

    mu: Array
    log_var: Array


def gaussian_kl_forward(mu: Array, log_var: Array) -> tuple[float, GaussianKLCache]:
    """KL(N(mu, exp(log_var)) || N(0, 1)), in nats.   [eq:gaussian-kl]

    mu, log_var (B, Z)  ->  sum over Z, mean over B; at least 0.
    Raises ValueError where the shapes differ or B is 0.  Kingma & Welling 2014, appendix B.
    """
    want_same_shape(mu=mu, log_var=log_var)
    want_examples("mu", mu)
    # expm1(l) - l is the same as exp(l) - 1 - l, and keeps its digits where the variance is near 1.
    kl = 0.5 * (np.expm1(log_var) - log_var + mu * mu).sum(axis=1, dtype=np.float64)
    return float(kl.mean()), GaussianKLCache(mu, log_var)


def gaussian_kl_backward(d_loss: float, cache: GaussianKLCache) -> tuple[Array, Array]:
    """d_mu = d_loss mu / B;  d_log_var = d_loss (exp(log_var) - 1) / (2 B).   [eq:gaussian-kl-backward]"""
    mu, log_var = cache
    share = d_loss / mu.shape[0]
    return share * mu, share / 2 * np.expm1(log_var)
