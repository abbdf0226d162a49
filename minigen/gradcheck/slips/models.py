"""Slips in the wiring of a whole model: every operation is right, and the gradient is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.gradcheck.slips.registry import wrong_backward, wrong_cache


@wrong_cache("mult-vae")
def kl_path_cut(cache: Any) -> Any:
    """The KL term is in the loss, and its gradient never reaches the encoder."""
    return cache._replace(kl=cache.kl._replace(mu=0 * cache.kl.mu, log_var=0 * cache.kl.log_var))


@wrong_cache("mult-vae")
def noise_path_cut(cache: Any) -> Any:
    """z counts as mu alone: log_var learns from the KL term only."""
    return cache._replace(z=cache.z._replace(eps=0 * cache.z.eps))


@wrong_cache("mult-vae")
def detached_code(cache: Any) -> Any:
    """The decoder's gradient stops at z: the encoder learns from the KL term only."""
    return cache._replace(decoder=cache.decoder._replace(w=0 * cache.decoder.w))


@wrong_cache("mult-vae")
def clicks_before_dropout(cache: Any) -> Any:
    """d_w_in from the clicks as they were before dropout."""
    return cache._replace(encoder=cache.encoder._replace(x=cache.normalised.y))


@wrong_cache("mult-vae")
def overwritten_cache(cache: Any) -> Any:
    """A hidden cache that a second batch has overwritten: the same users in another order."""
    return cache._replace(encoder=cache.encoder._replace(x=cache.encoder.x[::-1]))


@wrong_cache("mult-vae-linear")
def half_of_the_clicks_layer(cache: Any) -> Any:
    """Without hidden layers mu and log_var both read the clicks; log_var sees them before dropout."""
    return cache._replace(log_var=cache.log_var._replace(x=cache.normalised.y))


@wrong_cache("mult-vae-linear")
def mean_in_the_place_of_the_code(cache: Any) -> Any:
    """d_w_out from mu, where the logits were made from z."""
    return cache._replace(logits=cache.logits._replace(x=cache.kl.mu))


@wrong_cache("dae")
def mask_of_the_loss_for_that_of_the_input(cache: Any) -> Any:
    """Dropped clicks vanish from the targets too: there is nothing left to find again."""
    kept = cache.nll.x.multiply(cache.encoder.x != 0).tocsr()
    return cache._replace(nll=cache.nll._replace(x=kept))


@wrong_cache("mult-dae")
def half_of_the_penalty(cache: Any) -> Any:
    """l2 w for 2 l2 w: the square's 2 taken for the 1/2 that others put before the penalty."""
    return cache._replace(weights={name: w / 2 for name, w in cache.weights.items()})


@wrong_cache("mult-dae")
def penalty_on_one_layer(cache: Any) -> Any:
    """The penalty counts every weight, and its gradient reaches the output layer alone."""
    return cache._replace(weights={"w_out": cache.weights["w_out"]})


@wrong_cache("linear-vae")
def path_of_other_users(cache: Any) -> Any:
    """The path's scores came in another order of the users than the logits."""
    return cache._replace(path=cache.path[::-1])


@wrong_cache("linear-vae")
def gain_without_path(cache: Any) -> Any:
    """d_gain is the sum of d_logits: the factor beside it is forgotten."""
    return cache._replace(path=np.ones_like(cache.path))


@wrong_backward("log-shares")
def mean_as_a_constant(d_y: Any, cache: Any) -> Any:
    """The mean of the scores taken for a constant."""
    return np.where(cache.positive > 0, d_y / (cache.mean + cache.positive), 0)
