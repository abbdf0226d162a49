"""Is the code used?  Active units, KL per dimension, rate and distortion, and a verdict in words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.typing import Array, Params
from minigen.vae import Form, elbo_forward, encode

ACTIVE = 0.01  # variance of the posterior mean over the data above which a unit is active
SILENT = 0.01  # nats below which a dimension says nothing
FEW = 0.1  # share of active units below which most of the code is spare


class CollapseReport(NamedTuple):
    """What the code carries, in nats, mean over the data: -ELBO = distortion + rate."""

    active: np.ndarray  # (Z,) bool
    kl: Array  # (Z,), its sum is the rate
    rate: float
    distortion: float
    mutual_information: float  # between x and z, at most log N; the rest of the rate is waste
    words: str


def kl_per_dimension(mu: Array, log_var: Array) -> Array:
    """KL(q(z_j|x) || N(0, 1)) (Z,) of each dimension, mean over N, in nats.   [eq:kl-per-dimension]"""
    return 0.5 * (np.expm1(log_var) - log_var + mu * mu).mean(axis=0, dtype=np.float64)


def active_units(mu: Array, threshold: float = ACTIVE) -> np.ndarray:
    """Which dimensions are active (Z,): Var_x(mu_j(x)) > threshold.   [eq:active-units]

    mu (N, Z).  Burda et al. 2016, section 5.2.
    """
    return mu.var(axis=0, dtype=np.float64) > threshold


def mutual_information(mu: Array, log_var: Array, z: Array) -> float:
    """E log q(z|x) - E log q(z), q(z) the mixture of the N posteriors, in nats.   [eq:mutual-information]

    mu, log_var (N, Z), z (N, Z) one draw from each posterior; between 0 and log N but for sampling error.
    Hoffman & Johnson 2016, section 2.
    """
    log_q = np.empty((len(z), len(mu)))
    for n, code in enumerate(z):
        log_q[n] = -0.5 * ((code - mu) ** 2 / np.exp(log_var) + log_var).sum(axis=1)
    mixture = np.logaddexp.reduce(log_q, axis=1) - np.log(len(mu))
    return float((np.diag(log_q) - mixture).mean())


def collapse_report(
    params: Params,
    x: Array,
    rng: np.random.Generator,
    form: Form = Form(),  # noqa: B008 - a NamedTuple does not change
) -> CollapseReport:
    """Judge the code of a VAE on x (N, D), N a few hundred.  Raises ValueError for fewer than two rows."""
    if len(x) < 2:
        raise ValueError(f"x: want two rows at least, got {len(x)}")
    mu, log_var, _ = encode(params, x, form)
    eps = rng.standard_normal(mu.shape).astype(mu.dtype)
    terms, _ = elbo_forward(params, x, eps, form)
    information = mutual_information(mu, log_var, mu + np.exp(log_var / 2) * eps)
    active, kl = active_units(mu), kl_per_dimension(mu, log_var)
    words = _words(active, kl, terms.rate, information, len(x))
    return CollapseReport(active, kl, terms.rate, terms.distortion, information, words)


def _words(active: np.ndarray, kl: Array, rate: float, information: float, n: int) -> str:
    units, size = int(active.sum()), len(active)
    if not units:
        saying = int((kl > SILENT).sum())
        if not saying:
            return (
                f"collapsed: none of {size} units is active and the rate is {rate:.2g} nats; every x has the "
                "prior as its posterior, and the decoder ignores z. A smaller or growing beta often helps."
            )
        return (
            f"collapsed: none of {size} units is active, yet {saying} pay a KL, {rate:.2f} nats in all: "
            "their posterior is the same for every x, and tells the decoder nothing."
        )
    use = f"{units} of {size} units are active and carry {rate:.2f} nats"
    told = f"x and z share {information:.2f} nats, of log N = {np.log(n):.2f} that {n} rows can show"
    if units < FEW * size:
        return f"nearly collapsed: only {use}; {told}."
    if units < size:
        return f"in use: {use}, the other {size - units} follow the prior; {told}."
    return f"in full use: {use}; {told}. More units might carry more."
