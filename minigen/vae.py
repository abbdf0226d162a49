"""The variational autoencoder: a bound on log p(x), never log p(x) itself, and its gradient by hand.

    log p(x)  =  ELBO  +  KL(q(z|x) || p(z|x))        [eq:elbo-identity]
    ELBO      =  E_q log p(x|z)  -  KL(q(z|x) || p(z))

The second KL is in the bound and in closed form; the first is the gap, at least 0, which nobody computes in
general.  `minigen.linear_gaussian` is the model in which all four terms can be written down.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigen import losses, ops
from minigen.mlp import MLPCache, init_mlp, mlp_backward, mlp_forward
from minigen.typing import Array, Params

LIKELIHOODS = ("bernoulli", "gaussian")


class Form(NamedTuple):
    """What stands between the sizes: the activation of hidden layers, and p(x|z)."""

    activation: str = "tanh"
    likelihood: str = "bernoulli"


class Terms(NamedTuple):
    """The loss and its parts, in nats, mean over the batch: loss = distortion + beta rate."""

    loss: float
    distortion: float  # -E_q log p(x|z), by one sample a row
    rate: float  # KL(q(z|x) || p(z))


class Cache(NamedTuple):
    """One cache an operation, in the order of the forward pass."""

    encoder: MLPCache
    z: Any
    decoder: MLPCache
    log_p: Any
    kl: Any
    likelihood: str
    beta: float


def init_params(
    sizes: tuple[int, ...],
    rng: np.random.Generator,
    form: Form = Form(),  # noqa: B008 - a NamedTuple does not change
    dtype: np.dtype | type = np.float32,
) -> Params:
    """Weights for `sizes` (D, H, ..., Z): an encoder D-H-..-2Z, whose output is mu beside log_var, and a
    decoder Z-..-H-D.

    encoder.w0, encoder.b0, ..., decoder.w0, ...; decoder.log_var (1,) = 0 too where p(x|z) is Gaussian.
    Raises ValueError for fewer than two sizes, an unknown activation or likelihood.
    """
    if form.likelihood not in LIKELIHOODS:
        raise ValueError(f"likelihood: want {' or '.join(LIKELIHOODS)}, got {form.likelihood}")
    *below, latent = sizes
    encoder = init_mlp([*below, 2 * latent], rng, form.activation, dtype)
    decoder = init_mlp(sizes[::-1], rng, form.activation, dtype)
    if form.likelihood == "gaussian":
        decoder["log_var"] = np.zeros(1, dtype)
    return _prefixed("encoder", encoder) | _prefixed("decoder", decoder)


def encode(params: Params, x: Array, form: Form) -> tuple[Array, Array, MLPCache]:
    """q(z|x): mu and log_var (B, Z) of each row of x (B, D).   [eq:vae-encoder]"""
    code, cache = mlp_forward(x, _part(params, "encoder"), form.activation)
    mu, log_var = np.split(code, 2, axis=1)
    return mu, log_var, cache


def decode(params: Params, z: Array, form: Form) -> tuple[Array, MLPCache]:
    """What p(x|z) is made from, (B, D): logits of bits, or the mean of a Gaussian.   [eq:vae-decoder]"""
    return mlp_forward(z, _layers(params, "decoder"), form.activation)


def mean_of_x(params: Params, z: Array, form: Form) -> Array:
    """E[x|z] (B, D) of codes z (B, Z): the picture that a code stands for."""
    y, _ = decode(params, z, form)
    return ops.sigmoid(y) if form.likelihood == "bernoulli" else y


def log_likelihood_forward(params: Params, y: Array, x: Array, form: Form) -> tuple[Array, Any]:
    """log p(x|z) (B,) from what `decode` gave.  Raises ValueError where shapes differ or a variance is 0."""
    if form.likelihood == "bernoulli":
        return losses.bernoulli_log_prob_forward(y, x)
    log_var = np.broadcast_to(params["decoder.log_var"], y.shape)
    return losses.gaussian_log_prob_forward(x, y, log_var)


def log_likelihood_backward(d_log_p: Array, cache: Any, likelihood: str) -> tuple[Array, Params]:
    """d_y (B, D), and the gradient of decoder.log_var where there is one."""
    if likelihood == "bernoulli":
        return losses.bernoulli_log_prob_backward(d_log_p, cache), {}
    _, d_y, d_log_var = losses.gaussian_log_prob_backward(d_log_p, cache)
    return d_y, {"decoder.log_var": d_log_var.sum(keepdims=True).reshape(1)}  # one number serves them all


def elbo_forward(
    params: Params,
    x: Array,
    eps: Array,
    form: Form = Form(),  # noqa: B008
    beta: float = 1.0,
) -> tuple[Terms, Cache]:
    """-log p(x|z) + beta KL(q(z|x) || N(0, I)) at z = mu + std eps: at beta 1 minus the ELBO.   [eq:elbo]

    x (B, D), eps (B, Z) ~ N(0, I)  ->  nats, mean over B.
    Raises ValueError where shapes do not fit.  Kingma & Welling 2014, eq. 10; Higgins et al. 2017, eq. 4.
    """
    mu, log_var, encoder = encode(params, x, form)
    z, z_cache = ops.reparameterise_forward(mu, log_var, eps)
    y, decoder = decode(params, z, form)
    log_p, log_p_cache = log_likelihood_forward(params, y, x, form)
    kl, kl_cache = ops.gaussian_kl_forward(mu, log_var)
    distortion = -float(log_p.mean(dtype=np.float64))
    cache = Cache(encoder, z_cache, decoder, log_p_cache, kl_cache, form.likelihood, beta)
    return Terms(distortion + beta * kl, distortion, kl), cache


def elbo_backward(d_loss: float, cache: Cache) -> Params:
    """The gradient of every parameter: through z, and through the KL.   [eq:elbo-backward]"""
    batch, dtype = len(cache.z.eps), cache.z.eps.dtype
    d_z, grads = decoder_backward(np.full(batch, -d_loss / batch, dtype), cache)
    d_mu, d_log_var = ops.reparameterise_backward(d_z, cache.z)
    d_mu_kl, d_log_var_kl = ops.gaussian_kl_backward(d_loss * cache.beta, cache.kl)
    return grads | encoder_backward(d_mu + d_mu_kl, d_log_var + d_log_var_kl, cache.encoder)


def decoder_backward(d_log_p: Array, cache: Any) -> tuple[Array, Params]:
    """d_z and the decoder's gradients, from those of log p(x|z) (B,)."""
    d_y, d_noise = log_likelihood_backward(d_log_p, cache.log_p, cache.likelihood)
    d_z, grads = mlp_backward(d_y, cache.decoder)
    return d_z, _prefixed("decoder", grads) | d_noise


def encoder_backward(d_mu: Array, d_log_var: Array, cache: MLPCache) -> Params:
    """The encoder's gradients, from those of its two outputs."""
    _, grads = mlp_backward(np.concatenate([d_mu, d_log_var], axis=1), cache)  # x is data
    return _prefixed("encoder", grads)


def _prefixed(name: str, arrays: Params) -> Params:
    return {f"{name}.{key}": array for key, array in arrays.items()}


def _part(params: Params, name: str) -> Params:
    """The arrays of the encoder or the decoder under their bare names: the same arrays, not copies."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in params.items() if key.startswith(prefix)}


def _layers(params: Params, name: str) -> Params:
    return {key: array for key, array in _part(params, name).items() if key != "log_var"}
