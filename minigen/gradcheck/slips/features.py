"""Slips of the generator of product features: two likelihoods on one perceptron."""

from __future__ import annotations

from typing import Any

from minigen.gradcheck.slips.registry import wrong_cache, wrong_quantity


@wrong_cache("feature-nll")
def lost_price(cache: Any) -> Any:
    """The price band is in the loss, and gets no gradient."""
    return cache._replace(band=cache.band._replace(d_logits=0 * cache.band.d_logits))


@wrong_cache("feature-nll")
def bits_for_shares(cache: Any) -> Any:
    """Whoever has an n-gram at all counts whole: d_l from x > 0, where the loss has shares."""
    x = cache.grams.x.copy()
    x.data[:] = 1
    return cache._replace(grams=cache.grams._replace(x=x))


@wrong_quantity("feature-nll", caught_by="feature_nll_is_the_log_probability")
def mean_over_features(right: Any) -> Any:
    """The mean over features for their sum, in both passes."""

    def forward(*args: Any) -> tuple[float, Any]:
        loss, cache = right.forward(*args)
        return loss / cache.grams.logits.shape[1], cache

    def backward(d_loss: float, cache: Any) -> Any:
        return right.backward(d_loss / cache.grams.logits.shape[1], cache)

    return right._replace(forward=forward, backward=backward)
