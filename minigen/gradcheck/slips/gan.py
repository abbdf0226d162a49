"""Slips of adversarial training: signs, caches, and derivatives of derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.catalogue import Quantity
from minigen.gradcheck.slips.registry import (
    wrong_backward,
    wrong_cache,
    wrong_forward,
    wrong_quantity,
    wrong_result,
)
from minigen.mlp import MLPCache
from minigen.ops import bernoulli_nll_forward
from minigen.typing import Array


@wrong_backward("leaky-relu")
def closed_below(d_y: Array, x: Array) -> Array:
    """The slope below 0 lost in backward."""
    return d_y * (x > 0)


def _relu_forward(x: Array) -> Any:
    return np.maximum(x, 0), x


@wrong_backward("leaky-relu", caught_by="leaky_relu_leaks", forward=_relu_forward)
def not_leaky(d_y: Array, x: Array) -> Array:
    """A plain ReLU in both passes."""
    return d_y * (x > 0)


@wrong_backward("softplus")
def sigmoid_of_the_output(d_y: Array, x: Array) -> Array:
    """The derivative takes the output for the input."""
    return d_y * ops.sigmoid(ops.softplus(x))


@wrong_forward("softplus", caught_by="softplus_survives_800")
def log_of_exp(x: Array) -> Any:
    """log(1 + e^x) as it is written."""
    return np.log(1 + np.exp(x)), x


@wrong_cache("input-gradient-tanh")
@wrong_cache("input-gradient-softplus")
def first_order_only(cache: Any) -> Any:
    """phi' taken for a constant: the term with phi'' is missing."""
    return cache._replace(v=[0 * v for v in cache.v])


@wrong_cache("input-gradient-relu")
@wrong_cache("input-gradient-leaky-relu")
def no_mask_on_the_way_up(cache: Any) -> Any:
    """phi' = 1 in the double backward pass."""
    return cache._replace(mlp=cache.mlp._replace(activations=[abs(h) for h in cache.mlp.activations]))


@wrong_cache("gradient-penalty-tanh")
@wrong_cache("gradient-penalty-softplus")
def no_second_order(cache: Any) -> Any:
    """The penalty's gradient without its second-order term."""
    return cache._replace(input_gradient=first_order_only(cache.input_gradient))


@wrong_cache("gradient-penalty-leaky-relu")
def no_direction(cache: Any) -> Any:
    """d_g = 2 (|g| - 1) g: the length of g counts twice."""
    return cache._replace(g=cache.g * cache.norm)


@wrong_result("gradient-penalty-leaky-relu", caught_by="penalty_is_of_the_slope")
def no_root(loss: float, cache: Any) -> tuple[float, Any]:
    """(|g|^2 - 1)^2 for (|g| - 1)^2, in both passes."""
    squared = cache.norm**2
    # Backward makes 2/B (norm - 1) g / norm of its cache, and 4/B (|g|^2 - 1) g is right here.
    return float(((squared - 1) ** 2).mean()), cache._replace(g=2 * cache.g * squared, norm=squared)


@wrong_quantity("gan-non-saturating")
@wrong_quantity("wgan-generator")
def detached(right: Quantity) -> Quantity:
    """G(z) detached from G: the gradient is exactly 0."""
    return right._replace(backward=lambda *args: tuple(0 * grad for grad in right.backward(*args)))


@wrong_quantity("gradient-penalty-leaky-relu")
def detached_slope(right: Quantity) -> Quantity:
    """The slope taken for a number: the penalty is in the loss, and teaches nothing."""
    return detached(right)


@wrong_cache("gan-discriminator")
def fakes_forgotten(cache: Any) -> Any:
    """The gradient on fakes is not added."""
    fakes = cache.nll_fake
    return cache._replace(nll_fake=fakes._replace(x=ops.sigmoid(fakes.logits)))  # sigmoid - x = 0


@wrong_cache("gan-discriminator")
@wrong_cache("wgan-critic")
def overwritten_cache(cache: Any) -> Any:
    """One hidden cache: the pass over real examples has overwritten that over fakes."""
    n = len(cache.fake.dense[0].x)
    dense = [layer._replace(x=layer.x[:n]) for layer in cache.real.dense]
    return cache._replace(fake=cache.real._replace(dense=dense, activations=_first(cache.real, n)))


@wrong_quantity("gan-discriminator", caught_by="discriminator_loss_is_the_papers")
def mean_of_both(right: Quantity) -> Quantity:
    """A mean over real and fake for their sum, in both passes."""
    return _times(0.5, right)


@wrong_quantity("gan-minimax")
def ascends(right: Quantity) -> Quantity:
    """G climbs the loss that it should go down."""
    return right._replace(backward=_times(-1.0, right).backward)


@wrong_result("gan-minimax", caught_by="minimax_is_log_1_minus_d")
def other_loss(loss: float, cache: Any) -> tuple[float, Any]:
    """-log D(G(z)) under the name of log(1 - D(G(z))), in both passes."""
    logits = cache.nll.logits
    loss, nll = bernoulli_nll_forward(logits, 0 * logits + 1)
    return loss, cache._replace(nll=nll, sign=1.0)


@wrong_cache("gan-non-saturating")
def past_the_discriminator(cache: Any) -> Any:
    """The gradient in D's logits goes straight to G, and not through D."""
    first = cache.discriminator.dense[0]
    straight = first._replace(w=np.ones_like(first.w[:, :1]))
    return cache._replace(discriminator=cache.discriminator._replace(dense=[straight], activations=[]))


@wrong_quantity("wgan-critic", caught_by="critic_loss_rises_with_f_of_fakes")
def flipped_sign(right: Quantity) -> Quantity:
    """mean f(x) - mean f(G(z)), minimised: in both passes."""
    return _times(-1.0, right)


def _times(factor: float, right: Quantity) -> Quantity:
    """The quantity multiplied by a number, in both passes."""

    def forward(*args: Any) -> tuple[float, Any]:
        loss, cache = right.forward(*args)
        return factor * loss, cache

    return right._replace(
        forward=forward, backward=lambda d_loss, cache: right.backward(factor * d_loss, cache)
    )


def _first(cache: MLPCache, n: int) -> list[Array]:
    return [h[:n] for h in cache.activations]
