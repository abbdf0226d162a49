"""Likelihoods, forward and backward: a mean over the batch in nats to minimise, and log p row by row."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minigen.errors import InputError
from minigen.ops.activations.numpy_activations import sigmoid, softplus
from minigen.ops.bernoulli_nll.numpy_bernoulli_nll import BernoulliNLLCache
from minigen.ops.checks import want_same_shape, want_shape
from minigen.typing import Array

LOWEST_LOG_VAR = -80.0  # its exp is near the smallest float32
_LOG_2PI = math.log(2 * math.pi)
_BLOCK = 2**14  # squares that their own type adds up before float64 takes over


def squares(*arrays: Array) -> float:
    """The sum of all squared entries, of weights for a penalty."""
    flat = [array.ravel(order="K") for array in arrays]
    blocks = (a[start : start + _BLOCK] for a in flat for start in range(0, a.size, _BLOCK))
    return sum((float(np.vdot(block, block)) for block in blocks), 0.0)


def bernoulli_log_prob_forward(logits: Array, x: Array) -> tuple[Array, BernoulliNLLCache]:
    """log p(x) (B,) of each row of bits x (B, D) under logits (B, D), in nats.   [eq:bernoulli-log-prob]

    x in [0, 1]; sum over D.  Raises ValueError where the shapes differ.  Kingma & Welling 2014, appendix C.1.
    """
    want_same_shape(logits=logits, x=x)
    return (x * logits - softplus(logits)).sum(axis=1), BernoulliNLLCache(logits, x)


def bernoulli_log_prob_backward(d_log_p: Array, cache: BernoulliNLLCache) -> Array:
    """d_logits = d_log_p (x - sigmoid(logits)).   [eq:bernoulli-log-prob-backward]"""
    logits, x = cache
    want_shape("d_log_p", d_log_p, (len(logits),))
    return d_log_p[:, None] * (x - sigmoid(logits))


class GaussianLogProbCache(NamedTuple):
    """(x - mu) exp(-log_var / 2), and exp(-log_var / 2), each (B, D)."""

    standard: Array
    precision_root: Array


def gaussian_log_prob_forward(x: Array, mu: Array, log_var: Array) -> tuple[Array, GaussianLogProbCache]:
    """log N(x; mu, exp(log_var)) (B,) of each row, a density, in nats.   [eq:gaussian-log-prob]

    x, mu, log_var (B, D); sum over D.
    Raises ValueError where the shapes differ, InputError for a variance below exp(-80): 0 has no density.
    """
    want_same_shape(x=x, mu=mu, log_var=log_var)
    if log_var.size and not log_var.min() >= LOWEST_LOG_VAR:
        raise InputError(
            f"log_var: want at least {LOWEST_LOG_VAR:g}, got {log_var.min():g}: no density without variance"
        )
    precision_root = np.exp(-log_var / 2)
    standard = (x - mu) * precision_root
    log_p = -0.5 * (standard * standard + log_var).sum(axis=1) - x.dtype.type(x.shape[1] / 2 * _LOG_2PI)
    return log_p, GaussianLogProbCache(standard, precision_root)


def gaussian_log_prob_backward(d_log_p: Array, cache: GaussianLogProbCache) -> tuple[Array, Array, Array]:
    """Pull d_log_p (B,) back to x, mu and log_var.   [eq:gaussian-log-prob-backward]

    d_mu = -d_x = d_log_p (x - mu) / var;  d_log_var = d_log_p ((x - mu)^2 / var - 1) / 2.
    """
    standard, precision_root = cache
    want_shape("d_log_p", d_log_p, (len(standard),))
    share = d_log_p[:, None]
    d_mu = share * standard * precision_root
    return -d_mu, d_mu, share / 2 * (standard * standard - 1)
