"""The importance-weighted autoencoder: K samples make a tighter bound, many more estimate log p(x)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minigen import losses, ops
from minigen.mlp import MLPCache
from minigen.ops.checks import want_shape
from minigen.typing import Array, Params
from minigen.vae import (
    Form,
    decode,
    decoder_backward,
    encode,
    encoder_backward,
    log_likelihood_forward,
)


class Cache(NamedTuple):
    """The normalised weights (B K,), and one cache an operation, in the order of the forward pass."""

    weights: Array
    encoder: MLPCache
    z: Any
    decoder: MLPCache
    log_p: Any
    log_prior: Any
    log_q: Any
    likelihood: str
    k: int


def iwae_forward(
    params: Params,
    x: Array,
    eps: Array,
    form: Form = Form(),  # noqa: B008 - a NamedTuple does not change
) -> tuple[float, Cache]:
    """-log (1/K) sum_k w_k,  w_k = p(x|z_k) p(z_k) / q(z_k|x),  z_k = mu + std eps_k ~ q(z|x).   [eq:iwae]

    x (B, D), eps (B, K, Z) ~ N(0, I)  ->  nats, mean over B.  K = 1: minus the ELBO, with a sampled KL.
    Raises ValueError where shapes do not fit.  Burda et al. 2016, eq. 8.
    """
    want_shape("eps", eps, (len(x), None, None))
    log_w, cache = log_weights(params, x, eps, form)
    top = log_w.max(axis=1, keepdims=True)  # exp sees nothing above 0
    w = np.exp(log_w - top)
    total = w.sum(axis=1, keepdims=True)
    bound = np.log(total / w.shape[1]) + top
    return -float(bound.mean(dtype=np.float64)), cache._replace(weights=(w / total).reshape(-1))


def log_weights(params: Params, x: Array, eps: Array, form: Form) -> tuple[Array, Cache]:
    """log w (B, K) = log p(x|z) + log p(z) - log q(z|x) at z = mu + std eps.   [eq:importance-weights]"""
    batch, k, latent = eps.shape
    mu, log_var, encoder = encode(params, x, form)
    mu, log_var = np.repeat(mu, k, axis=0), np.repeat(log_var, k, axis=0)
    z, z_cache = ops.reparameterise_forward(mu, log_var, eps.reshape(-1, latent))
    y, decoder = decode(params, z, form)
    log_p, log_p_cache = log_likelihood_forward(params, y, np.repeat(x, k, axis=0), form)
    log_prior, prior_cache = losses.gaussian_log_prob_forward(z, 0 * z, 0 * z)
    log_q, q_cache = losses.gaussian_log_prob_forward(z, mu, log_var)
    caches = (encoder, z_cache, decoder, log_p_cache, prior_cache, q_cache)
    log_w = (log_p + log_prior - log_q).reshape(batch, k)
    return log_w, Cache(log_w.reshape(-1), *caches, form.likelihood, k)


def iwae_backward(d_loss: float, cache: Cache) -> Params:
    """The gradient of every parameter: sum_k v_k d log w_k, v_k = w_k / sum w.   [eq:iwae-backward]

    d log w_k goes through p(x|z), p(z) and q(z|x) into z, and through q(z|x) into mu and log_var once more.
    Burda et al. 2016, eq. 14.
    """
    latent = cache.z.eps.shape[1]
    share = -d_loss * cache.k / len(cache.weights) * cache.weights  # 1/B; the K weights of a row sum to 1
    d_z, grads = decoder_backward(share, cache)
    d_z_prior, _, _ = losses.gaussian_log_prob_backward(share, cache.log_prior)
    d_z_q, d_mu_q, d_log_var_q = losses.gaussian_log_prob_backward(-share, cache.log_q)
    d_mu, d_log_var = ops.reparameterise_backward(d_z + d_z_prior + d_z_q, cache.z)
    over_k = (-1, cache.k, latent)  # the K samples of a row share one mu and one log_var
    d_mu = (d_mu + d_mu_q).reshape(over_k).sum(axis=1)
    d_log_var = (d_log_var + d_log_var_q).reshape(over_k).sum(axis=1)
    return grads | encoder_backward(d_mu, d_log_var, cache.encoder)


def nll_estimate(
    params: Params,
    x: Array,
    form: Form,
    rng: np.random.Generator,
    samples: int = 5000,
    chunk: int = 5000,
) -> Array:
    """-log (1/K) sum_k w_k (B,) of each row: an upper bound on -log p(x) that falls to it as K grows.

    x (B, D); K = `samples`, of which `chunk` codes are held at once.  Nats.   [eq:nll-estimate]
    Raises ValueError unless samples >= 1 and chunk >= 1.  Burda et al. 2016, section 5.
    """
    if samples < 1 or chunk < 1:
        raise ValueError(f"samples and chunk: want at least 1, got {samples} and {chunk}")
    latent = len(params["decoder.w0"])
    result = np.empty(len(x))
    for row, one in enumerate(x):
        total = -math.inf
        for start in range(0, samples, chunk):
            eps = rng.standard_normal((1, min(chunk, samples - start), latent)).astype(x.dtype)
            log_w, _ = log_weights(params, one[None], eps, form)
            total = np.logaddexp(total, np.logaddexp.reduce(log_w[0].astype(np.float64)))
        result[row] = math.log(samples) - total
    return result
