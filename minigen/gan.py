"""Generative adversarial networks: both players' losses in logits, and every gradient by hand.

Each player has a loss of its own and minimises it.  Nothing is frozen by a flag: the discriminator's step
drops the gradient of its fakes; the generator's step calls the discriminator's backward pass, keeps that
gradient, and drops those of the weights.
"""

from __future__ import annotations

from typing import NamedTuple

from minigen.mlp import MLPCache, mlp_backward, mlp_forward
from minigen.ops import bernoulli_nll_backward, bernoulli_nll_forward
from minigen.ops.bernoulli_nll.numpy_bernoulli_nll import BernoulliNLLCache
from minigen.typing import Array, Params


class Target(NamedTuple):
    """A generator's loss: `sign` times the negative log-likelihood of calling its fakes `label`."""

    sign: float
    label: float


# What each player minimises; l = D's logits, 1 means real.  The fixed point is the same, the slope is not:
# where D is sure of its fakes, minimax has gradient ~0, the non-saturating loss gradient ~1.
#   discriminator        nll(l_real, 1) + nll(l_fake, 0)  =  -log D(x) - log(1 - D(G(z)))
GENERATOR_LOSSES = {
    "minimax": Target(-1.0, 0.0),  # -nll(l_fake, 0)      =   log(1 - D(G(z)))
    "non-saturating": Target(1.0, 1.0),  # nll(l_fake, 1) =  -log D(G(z))
}


class DiscriminatorCache(NamedTuple):
    """One pass over real examples and one over fakes: two caches, never one that is overwritten."""

    real: MLPCache
    fake: MLPCache
    nll_real: BernoulliNLLCache
    nll_fake: BernoulliNLLCache


def discriminator_forward(
    d: Params, real: Array, fake: Array, activation: str = "leaky-relu", smooth: float = 1.0
) -> tuple[float, DiscriminatorCache]:
    """-mean log D(x) - mean log(1 - D(G(z))), in nats; log 4 where D = 1/2.   [eq:gan-discriminator]

    d: a perceptron with one output; real (B, I), fake (B', I).  smooth: the label of real examples, below 1
    for one-sided smoothing.  Raises ValueError where shapes do not fit.  Goodfellow et al. 2014, eq. 1.
    """
    l_real, real_cache = mlp_forward(real, d, activation)
    l_fake, fake_cache = mlp_forward(fake, d, activation)
    on_real, nll_real = bernoulli_nll_forward(l_real, 0 * l_real + smooth)
    on_fake, nll_fake = bernoulli_nll_forward(l_fake, 0 * l_fake)
    return on_real + on_fake, DiscriminatorCache(real_cache, fake_cache, nll_real, nll_fake)


def discriminator_backward(d_loss: float, cache: DiscriminatorCache) -> Params:
    """The gradient of D in every parameter: on real plus on fake.   [eq:gan-discriminator-backward]"""
    _, on_real = mlp_backward(bernoulli_nll_backward(d_loss, cache.nll_real), cache.real)
    _, on_fake = mlp_backward(bernoulli_nll_backward(d_loss, cache.nll_fake), cache.fake)
    return {name: on_real[name] + on_fake[name] for name in on_real}


class GeneratorCache(NamedTuple):
    """The pass through G, the pass through D after it, the loss, and its sign."""

    generator: MLPCache
    discriminator: MLPCache
    nll: BernoulliNLLCache
    sign: float


def generator_forward(
    g: Params,
    d: Params,
    z: Array,
    loss: str = "non-saturating",
    activations: tuple[str, str] = ("relu", "leaky-relu"),
) -> tuple[float, GeneratorCache]:
    """What G minimises on the noise z (B, Z), through D, in nats.   [eq:gan-generator]

    loss: a name in GENERATOR_LOSSES; activations: of G and of D.
    Raises KeyError for another name, ValueError where shapes do not fit.  Goodfellow et al. 2014, section 3.
    """
    sign, label = GENERATOR_LOSSES[loss]
    fake, generator = mlp_forward(z, g, activations[0])
    logits, discriminator = mlp_forward(fake, d, activations[1])
    nll, cache = bernoulli_nll_forward(logits, 0 * logits + label)
    return sign * nll, GeneratorCache(generator, discriminator, cache, sign)


def generator_backward(d_loss: float, cache: GeneratorCache) -> Params:
    """The gradient of every parameter of G, through D.   [eq:gan-generator-backward]"""
    d_logits = bernoulli_nll_backward(d_loss * cache.sign, cache.nll)
    d_fake, _ = mlp_backward(d_logits, cache.discriminator)  # D's own gradients are dropped: D does not move
    _, grads = mlp_backward(d_fake, cache.generator)
    return grads
