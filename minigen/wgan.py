"""Wasserstein GANs: a critic without probabilities, kept 1-Lipschitz by clipping or by a gradient penalty.

The penalty is a function of the critic's gradient in x, so its own gradient is a second derivative:
eq:double-backward does that work.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.mlp import (
    InputGradientCache,
    MLPCache,
    input_gradient_backward,
    input_gradient_forward,
    mlp_backward,
    mlp_forward,
)
from minigen.ops.checks import want_same_shape, want_shape
from minigen.typing import Array, Params


class CriticCache(NamedTuple):
    """One pass over real examples and one over fakes."""

    real: MLPCache
    fake: MLPCache


def critic_forward(
    f: Params, real: Array, fake: Array, activation: str = "leaky-relu"
) -> tuple[float, CriticCache]:
    """mean f(G(z)) - mean f(x): minus the distance that the critic sees.   [eq:wgan-critic]

    f: a perceptron with one output; real (B, I), fake (B', I).  In the units of x where f is 1-Lipschitz.
    Raises ValueError where shapes do not fit.  Arjovsky et al. 2017, eq. 3.
    """
    f_real, real_cache = mlp_forward(real, f, activation)
    f_fake, fake_cache = mlp_forward(fake, f, activation)
    loss = float(f_fake.mean(dtype=np.float64) - f_real.mean(dtype=np.float64))
    return loss, CriticCache(real_cache, fake_cache)


def critic_backward(d_loss: float, cache: CriticCache) -> Params:
    """The gradient of f in every parameter: -1/B a real example, 1/B a fake.   [eq:wgan-critic-backward]"""
    _, on_real = mlp_backward(_share(-d_loss, cache.real), cache.real)
    _, on_fake = mlp_backward(_share(d_loss, cache.fake), cache.fake)
    return {name: on_real[name] + on_fake[name] for name in on_real}


class GeneratorCache(NamedTuple):
    """The pass through G, and the pass through the critic after it."""

    generator: MLPCache
    critic: MLPCache


def generator_forward(
    g: Params, f: Params, z: Array, activations: tuple[str, str] = ("relu", "leaky-relu")
) -> tuple[float, GeneratorCache]:
    """-mean f(G(z)) on the noise z (B, Z).   [eq:wgan-generator]

    activations: of G and of the critic.  Raises ValueError where shapes do not fit.
    """
    fake, generator = mlp_forward(z, g, activations[0])
    f_fake, critic = mlp_forward(fake, f, activations[1])
    return -float(f_fake.mean(dtype=np.float64)), GeneratorCache(generator, critic)


def generator_backward(d_loss: float, cache: GeneratorCache) -> Params:
    """The gradient of every parameter of G, through the critic.   [eq:wgan-generator-backward]"""
    d_fake, _ = mlp_backward(_share(-d_loss, cache.critic), cache.critic)  # the critic does not move
    _, grads = mlp_backward(d_fake, cache.generator)
    return grads


class PenaltyCache(NamedTuple):
    """g = df/dx (B, I) at the points between, its norms (B, 1), and the passes that made it."""

    g: Array
    norm: Array
    input_gradient: InputGradientCache


def penalty_forward(
    f: Params, real: Array, fake: Array, t: Array, activation: str = "leaky-relu"
) -> tuple[float, PenaltyCache]:
    """mean (|g| - 1)^2, where g = df/dx at x = t real + (1 - t) fake.   [eq:gradient-penalty]

    real, fake (B, I); t (B, 1) ~ U(0, 1).  Raises ValueError where shapes do not fit.
    Gulrajani et al. 2017, eq. 3, without its weight lambda.
    """
    want_same_shape(real=real, fake=fake)
    want_shape("t", t, (len(real), 1))
    _, mlp = mlp_forward(t * real + (1 - t) * fake, f, activation)
    g, cache = input_gradient_forward(mlp)
    norm = np.sqrt((g * g).sum(axis=1, keepdims=True))
    return float(((norm - 1) ** 2).mean(dtype=np.float64)), PenaltyCache(g, norm, cache)


def penalty_backward(d_loss: float, cache: PenaltyCache) -> Params:
    """The gradient of every parameter of f: d_g = 2/B (|g| - 1) g / |g|, then eq:double-backward.

    Where g = 0 the norm has a kink: its subgradient 0 is taken.   [eq:gradient-penalty-backward]
    """
    g, norm, input_gradient = cache
    direction = g / np.where(norm > 0, norm, 1)
    _, grads = input_gradient_backward(2 * d_loss / len(g) * (norm - 1) * direction, input_gradient)
    return grads


def clip_weights(f: Params, limit: float) -> None:
    """Move every weight into [-limit, limit], in place: the first WGAN's way to a Lipschitz critic.

    Arjovsky et al. 2017, algorithm 1.
    """
    for w in f.values():
        np.clip(w, -limit, limit, out=w)


def _share(total: float, cache: MLPCache) -> Array:
    """`total` divided among the examples of a pass: the gradient of a mean over its outputs (B, 1)."""
    x, w = cache.dense[-1]
    return np.full((len(x), w.shape[1]), total / len(x), x.dtype)
