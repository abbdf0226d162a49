"""Slips in the Gaussian code: its sampler and its KL term."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.slips.registry import wrong_backward
from minigen.ops.gaussian.numpy_gaussian import ReparameteriseCache
from minigen.typing import Array


def _exp_log_var_forward(mu: Array, log_var: Array, eps: Array) -> Any:
    std = np.exp(log_var)
    return mu + std * eps, ReparameteriseCache(std, eps)


@wrong_backward("reparameterise", caught_by="sampler_has_the_variance", forward=_exp_log_var_forward)
def exp_log_var(d_z: Array, cache: Any) -> Any:
    """exp(log_var) as standard deviation, with its right derivative."""
    std, eps = cache
    return d_z, d_z * eps * std


@wrong_backward("reparameterise")
def lost_half(d_z: Array, cache: Any) -> Any:
    """d_log_var without its 1/2."""
    return d_z, d_z * cache.eps * cache.std


@wrong_backward("reparameterise")
def lost_noise(d_z: Array, cache: Any) -> Any:
    """d_log_var without eps."""
    return d_z, d_z * cache.std / 2


@wrong_backward("gaussian-kl")
def lost_half_of_kl(d_loss: float, cache: Any) -> Any:
    """d_log_var without its 1/2."""
    d_mu, d_log_var = ops.gaussian_kl_backward(d_loss, cache)
    return d_mu, 2 * d_log_var


@wrong_backward("gaussian-kl")
def forgotten_mu(d_loss: float, cache: Any) -> Any:
    """d_mu left at 0."""
    d_mu, d_log_var = ops.gaussian_kl_backward(d_loss, cache)
    return 0 * d_mu, d_log_var


@wrong_backward("gaussian-kl")
def entropy_sign(d_loss: float, cache: Any) -> Any:
    """exp(log_var) + 1 for exp(log_var) - 1."""
    d_mu, d_log_var = ops.gaussian_kl_backward(d_loss, cache)
    return d_mu, d_log_var + d_loss / len(d_mu)


@wrong_backward("gaussian-kl")
def ascends(d_loss: float, cache: Any) -> Any:
    """The gradient of -KL: the ELBO is maximised, the loss minimised."""
    d_mu, d_log_var = ops.gaussian_kl_backward(d_loss, cache)
    return -d_mu, -d_log_var


@wrong_backward("gaussian-kl")
def sum_over_batch(d_loss: float, cache: Any) -> Any:
    """1/B lost in backward."""
    d_mu, d_log_var = ops.gaussian_kl_backward(d_loss, cache)
    return len(d_mu) * d_mu, len(d_mu) * d_log_var


def _log_std_forward(mu: Array, log_var: Array) -> Any:
    return ops.gaussian_kl_forward(mu, 2 * log_var)


@wrong_backward("gaussian-kl", caught_by="kl_equals_monte_carlo", forward=_log_std_forward)
def log_std(d_loss: float, cache: Any) -> Any:
    """log_var read as a log standard deviation, in both passes."""
    d_mu, d_log_var = ops.gaussian_kl_backward(d_loss, cache)
    return d_mu, 2 * d_log_var


def _mean_over_z_forward(mu: Array, log_var: Array) -> Any:
    kl, cache = ops.gaussian_kl_forward(mu, log_var)
    return kl / mu.shape[1], cache


@wrong_backward("gaussian-kl", caught_by="kl_equals_monte_carlo", forward=_mean_over_z_forward)
def mean_over_z(d_loss: float, cache: Any) -> Any:
    """A mean over Z for the sum, in both passes."""
    return ops.gaussian_kl_backward(d_loss / cache.mu.shape[1], cache)
