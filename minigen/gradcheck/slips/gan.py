"""Slips of adversarial training: signs, caches, and derivatives of derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.catalogue import Quantity
from minigen.gradcheck.gan_models import DISCRIMINATOR, GENERATOR, quantities
from minigen.gradcheck.slips.registry import wrong_backward, wrong_cache, wrong_forward
from minigen.losses import bernoulli_nll_backward
from minigen.mlp import MLPCache, input_gradient_backward, mlp_backward
from minigen.typing import Array, Params

_RIGHT: dict[str, Quantity] = {quantity.name: quantity for quantity in quantities()}


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


@wrong_backward("gradient-penalty-leaky-relu")
def no_direction(d_loss: float, cache: Any) -> Any:
    """d_g = 2 (|g| - 1) g: the length of g counts twice."""
    return _RIGHT["gradient-penalty-leaky-relu"].backward(d_loss, cache._replace(g=cache.g * cache.norm))


@wrong_backward("gradient-penalty-leaky-relu")
def detached_slope(d_loss: float, cache: Any) -> Any:
    """The slope taken for a number: the penalty is in the loss, and teaches nothing."""
    return tuple(np.zeros(shape) for shape in DISCRIMINATOR.values())


def _without_root(*arrays: Array) -> Any:
    _, cache = _RIGHT["gradient-penalty-leaky-relu"].forward(*arrays)
    return float(((cache.norm**2 - 1) ** 2).mean()), cache


@wrong_backward("gradient-penalty-leaky-relu", caught_by="penalty_is_of_the_slope", forward=_without_root)
def no_root(d_loss: float, cache: Any) -> Any:
    """(|g|^2 - 1)^2 for (|g| - 1)^2, in both passes."""
    g, norm, input_gradient = cache
    d_g = 4 * d_loss / len(g) * (norm**2 - 1) * g
    return _in_order(input_gradient_backward(d_g, input_gradient)[1], DISCRIMINATOR)


@wrong_backward("gan-discriminator")
def fakes_forgotten(d_loss: float, cache: Any) -> Any:
    """The gradient on fakes is not added."""
    _, grads = mlp_backward(bernoulli_nll_backward(d_loss, cache.nll_real), cache.real)
    return _in_order(grads, DISCRIMINATOR)


@wrong_cache("gan-discriminator")
@wrong_cache("wgan-critic")
def overwritten_cache(cache: Any) -> Any:
    """One hidden cache: the pass over real examples has overwritten that over fakes."""
    n = len(cache.fake.dense[0].x)
    dense = [layer._replace(x=layer.x[:n]) for layer in cache.real.dense]
    return cache._replace(fake=cache.real._replace(dense=dense, activations=_first(cache.real, n)))


def _halved(*arrays: Array) -> Any:
    loss, cache = _RIGHT["gan-discriminator"].forward(*arrays)
    return loss / 2, cache


@wrong_backward("gan-discriminator", caught_by="discriminator_loss_is_the_papers", forward=_halved)
def mean_of_both(d_loss: float, cache: Any) -> Any:
    """A mean over real and fake for their sum, in both passes."""
    return _RIGHT["gan-discriminator"].backward(d_loss / 2, cache)


@wrong_backward("gan-minimax")
def ascends(d_loss: float, cache: Any) -> Any:
    """G climbs the loss that it should go down."""
    return _RIGHT["gan-minimax"].backward(-d_loss, cache)


@wrong_backward(
    "gan-minimax", caught_by="minimax_is_log_1_minus_d", forward=_RIGHT["gan-non-saturating"].forward
)
def other_loss(d_loss: float, cache: Any) -> Any:
    """-log D(G(z)) under the name of log(1 - D(G(z))), in both passes."""
    return _RIGHT["gan-non-saturating"].backward(d_loss, cache)


@wrong_backward("gan-non-saturating")
@wrong_backward("wgan-generator")
def detached(d_loss: float, cache: Any) -> Any:
    """G(z) detached from G: the gradient is exactly 0."""
    return tuple(np.zeros(shape) for shape in GENERATOR.values())


@wrong_backward("gan-non-saturating")
def past_the_discriminator(d_loss: float, cache: Any) -> Any:
    """The gradient in D's logits goes straight to G, and not through D."""
    d_logits = bernoulli_nll_backward(d_loss, cache.nll)
    w = cache.generator.dense[-1].w
    return _in_order(mlp_backward(np.tile(d_logits, w.shape[1]), cache.generator)[1], GENERATOR)


def _flipped(*arrays: Array) -> Any:
    loss, cache = _RIGHT["wgan-critic"].forward(*arrays)
    return -loss, cache


@wrong_backward("wgan-critic", caught_by="critic_loss_rises_with_f_of_fakes", forward=_flipped)
def flipped_sign(d_loss: float, cache: Any) -> Any:
    """mean f(x) - mean f(G(z)), minimised: in both passes."""
    return _RIGHT["wgan-critic"].backward(-d_loss, cache)


def _first(cache: MLPCache, n: int) -> list[Array]:
    return [h[:n] for h in cache.activations]


def _in_order(grads: Params, shapes: dict[str, Any]) -> tuple[Array, ...]:
    return tuple(grads[name] for name in shapes)
