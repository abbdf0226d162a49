"""Two unbiased estimates of one gradient: through the sample, and through the probability of the sample.

Both estimate the gradient of the ELBO in mu and log_var; what separates them is variance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.iwae import log_weights
from minigen.losses import gaussian_log_prob_backward
from minigen.ops import reparameterise_backward
from minigen.typing import Array, Params
from minigen.vae import Form, decoder_backward


class Estimates(NamedTuple):
    """Gradients of the ELBO in mu beside log_var, one row a draw of the noise: each (S, 2 Z)."""

    reparameterised: Array
    score: Array
    score_baseline: Array


def estimate_gradients(
    params: Params,
    x: Array,
    eps: Array,
    form: Form = Form(),  # noqa: B008 - a NamedTuple does not change
) -> Estimates:
    """Both estimates of the ELBO's gradient in q(z|x) of one example x (D,), for each eps (S, Z).

    reparameterised:  d/dz [log p(x,z) - log q(z|x)]  through  z = mu + std eps   [eq:pathwise-gradient]
    score:            (log p(x,z) - log q(z|x) - c)  d log q(z|x)                 [eq:score-gradient]
    with c = 0, and with the mean of the other draws as the baseline c, which leaves the mean as it is.
    Raises ValueError where shapes do not fit.  Williams 1992; Kingma & Welling 2014, section 2.2.
    """
    log_w, cache = log_weights(params, x[None], eps[None], form)
    one = np.ones(len(eps), log_w.dtype)  # every draw is an estimate of its own: no 1/S
    d_z, _ = decoder_backward(one, cache)
    d_z_prior, _, _ = gaussian_log_prob_backward(one, cache.log_prior)
    d_z_q, d_mu_q, d_log_var_q = gaussian_log_prob_backward(one, cache.log_q)
    d_mu, d_log_var = reparameterise_backward(d_z + d_z_prior - d_z_q, cache.z)
    pathwise = np.concatenate([d_mu - d_mu_q, d_log_var - d_log_var_q], axis=1)

    reward = log_w.T
    score = np.concatenate([d_mu_q, d_log_var_q], axis=1)
    others = (reward.sum() - reward) / max(len(eps) - 1, 1)
    return Estimates(pathwise, reward * score, (reward - others) * score)
