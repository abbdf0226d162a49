"""Slips in the likelihoods row by row, in the ELBO, and in the weights of the IWAE."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen import losses
from minigen.gradcheck.slips.registry import wrong_backward, wrong_cache, wrong_forward, wrong_result
from minigen.ops.bernoulli_nll.numpy_bernoulli_nll import BernoulliNLLCache
from minigen.typing import Array


@wrong_backward("bernoulli-log-prob")
def sign_of_the_loss(d_log_p: Array, cache: Any) -> Array:
    """sigmoid - x, the gradient of -log p."""
    return -losses.bernoulli_log_prob_backward(d_log_p, cache)


@wrong_forward("bernoulli-log-prob", caught_by="log_prob_of_bits_survives_800")
def clipped_rows(logits: Array, x: Array) -> Any:
    """Probabilities clipped at 1e-7."""
    p = np.clip(1 / (1 + np.exp(-np.clip(logits, -500, 500))), 1e-7, 1 - 1e-7)
    return (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1), BernoulliNLLCache(logits, x)


@wrong_backward("gaussian-log-prob")
def variance_once(d_log_p: Array, cache: Any) -> Any:
    """(x - mu) / std for (x - mu) / var."""
    _, _, d_log_var = losses.gaussian_log_prob_backward(d_log_p, cache)
    d_mu = d_log_p[:, None] * cache.standard
    return -d_mu, d_mu, d_log_var


@wrong_backward("gaussian-log-prob")
def forgotten_normaliser(d_log_p: Array, cache: Any) -> Any:
    """d_log_var of the square alone, as if the density had no 1/std in front."""
    d_x, d_mu, d_log_var = losses.gaussian_log_prob_backward(d_log_p, cache)
    return d_x, d_mu, d_log_var + d_log_p[:, None] / 2


@wrong_forward("gaussian-log-prob", caught_by="density_integrates_to_1")
def lost_constant(x: Array, mu: Array, log_var: Array) -> Any:
    """log 2 pi left out: right gradients, and nats that mean nothing."""
    log_p, cache = losses.gaussian_log_prob_forward(x, mu, log_var)
    return log_p + x.dtype.type(0.5 * np.log(2 * np.pi) * x.shape[1]), cache


@wrong_cache("vae-bernoulli")
def kl_weight_once(cache: Any) -> Any:
    """beta in the loss, and not in its gradient."""
    return cache._replace(beta=1.0)


@wrong_cache("vae-bernoulli")
def detached_sample(cache: Any) -> Any:
    """z taken for data: the encoder learns from the KL alone."""
    return cache._replace(decoder=_cut(cache.decoder))


@wrong_cache("vae-gaussian")
def one_noise_for_all(cache: Any) -> Any:
    """The noise of the first row used in the gradient of every row."""
    return cache._replace(z=cache.z._replace(eps=np.repeat(cache.z.eps[:1], len(cache.z.eps), axis=0)))


@wrong_cache("iwae-bernoulli")
def equal_weights(cache: Any) -> Any:
    """1/K for every sample: the gradient of K averaged ELBOs, not of the bound that was returned."""
    return cache._replace(weights=np.full_like(cache.weights, 1 / cache.k))


@wrong_cache("iwae-bernoulli")
def weights_over_the_batch(cache: Any) -> Any:
    """Weights normalised over all rows together, not over the samples of each."""
    return cache._replace(weights=cache.weights / cache.weights.sum() * 1.0)


@wrong_cache("iwae-gaussian")
def q_path_cut(cache: Any) -> Any:
    """log q(z|x) taken for a constant: nothing keeps log_var from falling."""
    q = cache.log_q
    return cache._replace(
        log_q=q._replace(standard=np.ones_like(q.standard), precision_root=0 * q.precision_root)
    )


@wrong_cache("iwae-gaussian")
def prior_path_cut(cache: Any) -> Any:
    """log p(z) without a gradient."""
    return cache._replace(log_prior=cache.log_prior._replace(standard=0 * cache.log_prior.standard))


def _cut(decoder: Any) -> Any:
    first, *rest = decoder.dense
    return decoder._replace(dense=[first._replace(w=0 * first.w), *rest])


@wrong_result("iwae-gaussian", caught_by="bound_of_any_sample_is_the_evidence")
def sum_of_weights(loss: float, cache: Any) -> tuple[float, Any]:
    """log sum_k w_k for log (1/K) sum_k w_k: above the evidence, with the right gradient."""
    return loss - math.log(cache.k), cache


@wrong_result("vae-gaussian", caught_by="elbo_meets_the_evidence")
def lost_half_of_kl_in_both(loss: float, cache: Any) -> tuple[float, Any]:
    """The KL without its 1/2, in both passes: "nearly a bound"."""
    kl = 0.5 * float((np.expm1(cache.kl.log_var) - cache.kl.log_var + cache.kl.mu**2).sum(axis=1).mean())
    return loss + cache.beta * kl, cache._replace(beta=2 * cache.beta)
