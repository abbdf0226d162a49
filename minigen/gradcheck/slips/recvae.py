"""Slips of RecVAE: its operations, and what in its KL term gets a gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.slips.registry import wrong_backward, wrong_cache, wrong_forward
from minigen.ops.composite_prior.numpy_composite_prior import BROAD_LOG_VAR, SHARES, CompositePriorCache
from minigen.typing import Array


@wrong_backward("swish")
def gate_without_slope(d_y: Array, cache: Any) -> Array:
    """The gate taken for a constant."""
    return d_y * cache.gate


@wrong_forward("swish", caught_by="swish_is_x_sigmoid")
def plain_gate(x: Array) -> Any:
    """exp(-x) as it is written."""
    gate = 1 / (1 + np.exp(-x))
    return x * gate, ops.swish_forward(x)[1]


@wrong_backward("layer-norm")
def frozen_statistics(d_y: Array, cache: Any) -> Any:
    """Mean and variance taken for constants."""
    _, d_gain, d_b = ops.layer_norm_backward(d_y, cache)
    return d_y * cache.gain * cache.inverse_std, d_gain, d_b


@wrong_backward("layer-norm")
def frozen_variance(d_y: Array, cache: Any) -> Any:
    """The variance taken for a constant."""
    _, d_gain, d_b = ops.layer_norm_backward(d_y, cache)
    d_normal = d_y * cache.gain
    return (d_normal - d_normal.mean(axis=1, keepdims=True)) * cache.inverse_std, d_gain, d_b


def _over_the_batch_forward(x: Array, gain: Array, b: Array) -> Any:
    ones = np.ones(len(x), x.dtype)
    y, cache = ops.layer_norm_forward(x.T, ones, 0 * ones, 0.1)
    return gain * y.T + b, cache._replace(gain=gain)


@wrong_backward("layer-norm", caught_by="rows_have_one_scale", forward=_over_the_batch_forward)
def over_the_batch(d_y: Array, cache: Any) -> Any:
    """Statistics of a unit over the batch for those of an example over units, in both passes."""
    ones = np.ones(len(d_y), d_y.dtype)
    d_x, _, _ = ops.layer_norm_backward((d_y * cache.gain).T, cache._replace(gain=ones))
    return d_x.T, (d_y * cache.normal.T).sum(axis=0), d_y.sum(axis=0)


@wrong_backward("composite-prior")
def shares_for_parts(d_log_p: Array, cache: Any) -> Array:
    """The slopes weighted by the shares of the prior, not by their parts at z."""
    shares = np.array(SHARES, d_log_p.dtype)[:, None, None]
    return d_log_p[:, None] * (shares * cache.slopes).sum(axis=0)


def _mean_of_logs_forward(z: Array, mu: Array, log_var: Array) -> Any:
    offs = np.stack([-z, mu - z, -z])
    log_vars = np.stack([0 * z, log_var, 0 * z + BROAD_LOG_VAR])
    slopes = offs * np.exp(-log_vars)
    logs = -0.5 * (offs * slopes + log_vars + math.log(2 * math.pi))
    parts = np.array(SHARES, z.dtype)[:, None, None] * np.ones_like(logs)
    return (parts * logs).sum(axis=(0, 2)), CompositePriorCache(parts, slopes)


@wrong_backward(
    "composite-prior", caught_by="composite_density_integrates_to_1", forward=_mean_of_logs_forward
)
def mean_of_logs(d_log_p: Array, cache: Any) -> Array:
    """The mean of the logarithms for the logarithm of the mean, in both passes."""
    return ops.composite_log_prob_backward(d_log_p, cache)


@wrong_cache("recvae")
def gradient_through_the_old_posterior(cache: Any) -> Any:
    """The old posterior moves along with the code, as if it were the present one."""
    slopes = cache.log_prior.slopes.copy()
    slopes[1] = 0
    return cache._replace(log_prior=cache.log_prior._replace(slopes=slopes))


@wrong_cache("recvae")
def lost_log_q(cache: Any) -> Any:
    """log q(z|x) is in the loss, and gets no gradient: nothing keeps the variance from 0."""
    # (x - mu) / std = 1 and 1 / std = 0: all three of its gradients vanish.
    log_q = type(cache.log_q)(np.ones_like(cache.log_q.standard), 0 * cache.log_q.precision_root)
    return cache._replace(log_q=log_q)


@wrong_cache("recvae")
def one_kl_weight_for_all(cache: Any) -> Any:
    """The mean KL weight of the batch for that of each user."""
    return cache._replace(weight=np.full_like(cache.weight, cache.weight.mean()))


@wrong_cache("recvae")
def forgotten_layer(cache: Any) -> Any:
    """A layer of the encoder remembers the product of the layer below it."""
    layers = list(cache.layers)
    layers[2] = layers[2]._replace(dense=layers[2].dense._replace(x=layers[1].dense.x))
    return cache._replace(layers=layers)
