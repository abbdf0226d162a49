"""The model whose evidence can be written down: z ~ N(0, I), x|z ~ N(z w + b, s^2 I), all of it Gaussian.

Every promise about a bound can be kept to the last digit here: the ELBO lies below log p(x), by exactly
KL(q(z|x) || p(z|x)), and meets it where q is the true posterior.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minigen.ops.checks import want_shape
from minigen.typing import Array, Params


class LinearGaussian(NamedTuple):
    """w (Z, D), b (D,), and the logarithm of the noise variance s^2."""

    w: Array
    b: Array
    log_var: float


def _want_fit(model: LinearGaussian, x: Array, *code: tuple[str, Array]) -> None:
    """Raise ValueError unless x (B, D), and the arrays of a code (B, Z), fit the model."""
    want_shape("w", model.w, (None, len(model.b)))
    want_shape("x", x, (None, len(model.b)))
    for name, array in code:
        want_shape(name, array, (len(x), len(model.w)))


def log_evidence(model: LinearGaussian, x: Array) -> Array:
    """log p(x) (B,) = log N(x; b, w^T w + s^2 I) of each row of x (B, D), in nats.   [eq:linear-evidence]

    Raises ValueError where shapes do not fit.  Bishop 2006, eq. 12.35.
    """
    _want_fit(model, x)
    size = len(model.b)
    root = np.linalg.cholesky(model.w.T @ model.w + math.exp(model.log_var) * np.eye(size))
    standard = np.linalg.solve(root, (x - model.b).T)
    log_det = 2 * np.log(np.diag(root)).sum()
    return -0.5 * ((standard * standard).sum(axis=0) + log_det + size * math.log(2 * math.pi))


def posterior(model: LinearGaussian, x: Array) -> tuple[Array, Array]:
    """p(z|x): means (B, Z) and the one covariance (Z, Z).   [eq:linear-posterior]

    cov = (I + w w^T / s^2)^-1;  mean = (x - b) w^T cov / s^2.
    Raises ValueError where shapes do not fit.  Bishop 2006, eq. 12.42.
    """
    _want_fit(model, x)
    noise = math.exp(model.log_var)
    cov = np.linalg.inv(np.eye(len(model.w)) + model.w @ model.w.T / noise)
    return (x - model.b) @ model.w.T @ cov / noise, cov


def kl_to_posterior(model: LinearGaussian, x: Array, mu: Array, log_var: Array) -> Array:
    """KL(N(mu, exp(log_var)) || p(z|x)) (B,), in nats: the gap of the ELBO.   [eq:linear-gap]

    mu, log_var (B, Z).  Raises ValueError where shapes do not fit.
    """
    _want_fit(model, x, ("mu", mu), ("log_var", log_var))
    mean, cov = posterior(model, x)
    precision = np.linalg.inv(cov)
    off = mu - mean
    trace = np.exp(log_var) @ np.diag(precision)
    log_dets = np.linalg.slogdet(cov)[1] - log_var.sum(axis=1)
    return 0.5 * (trace + ((off @ precision) * off).sum(axis=1) - mu.shape[1] + log_dets)


def elbo(model: LinearGaussian, x: Array, mu: Array, log_var: Array) -> Array:
    """The ELBO (B,) of q = N(mu, exp(log_var)), its expectation in closed form, in nats.   [eq:linear-elbo]

    E_q |x - z w - b|^2 = |x - mu w - b|^2 + sum_z exp(log_var_z) |w_z|^2.
    mu, log_var (B, Z).  Raises ValueError where shapes do not fit.
    """
    _want_fit(model, x, ("mu", mu), ("log_var", log_var))
    noise = math.exp(model.log_var)
    residual = x - mu @ model.w - model.b
    squares = (residual * residual).sum(axis=1) + np.exp(log_var) @ (model.w * model.w).sum(axis=1)
    log_p = -0.5 * (squares / noise + len(model.b) * (model.log_var + math.log(2 * math.pi)))
    kl = 0.5 * (np.exp(log_var) + mu * mu - 1 - log_var).sum(axis=1)
    return log_p - kl


def ppca(x: Array, latent: int) -> LinearGaussian:
    """The maximum-likelihood model of x (N, D): probabilistic PCA.   [eq:ppca]

    s^2 is the mean of the D - Z smallest eigenvalues of the covariance, w_z = sqrt(lambda_z - s^2) u_z.
    Raises ValueError unless Z < D, or where the data leave no variance for the noise.
    Tipping & Bishop 1999, eq. 7 and 8.
    """
    if not 0 < latent < x.shape[1]:
        raise ValueError(f"latent: want 1 to {x.shape[1] - 1}, got {latent}")
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    noise = values[: x.shape[1] - latent].mean()
    if not noise > 0:
        raise ValueError(f"x: want variance outside {latent} dimensions, got none")
    w = np.sqrt(np.maximum(values[-latent:] - noise, 0))[:, None] * vectors[:, -latent:].T
    return LinearGaussian(w[::-1], mean, math.log(noise))


def as_vae(model: LinearGaussian) -> Params:
    """Parameters of a VAE without hidden layers that is `model`, its encoder the best of diagonal Gaussians.

    The best q has the true mean and the variances 1 / (1 + |w_z|^2 / s^2); where the rows of w are
    orthogonal, as pPCA's are, it is the true posterior.
    """
    noise = math.exp(model.log_var)
    latent, size = model.w.shape
    _, cov = posterior(model, model.b[None])
    to_mean = model.w.T @ cov / noise
    log_var = -np.log1p((model.w * model.w).sum(axis=1) / noise)
    return {
        "encoder.w0": np.concatenate([to_mean, np.zeros((size, latent))], axis=1),
        "encoder.b0": np.concatenate([-model.b @ to_mean, log_var]),
        "decoder.w0": model.w,
        "decoder.b0": model.b,
        "decoder.log_var": np.array([model.log_var]),
    }


def of_vae(params: Params) -> LinearGaussian:
    """The model that the decoder of a VAE without hidden layers is.

    Raises ValueError where it has hidden layers or no Gaussian likelihood.
    """
    if "decoder.w1" in params or "decoder.log_var" not in params:
        raise ValueError("want a VAE without hidden layers and with a Gaussian likelihood")
    log_var = float(params["decoder.log_var"][0])
    return LinearGaussian(params["decoder.w0"], params["decoder.b0"], log_var)
