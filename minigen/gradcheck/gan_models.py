"""GANs as quantities: each player's loss in its own parameters, noise held still; and what it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen import gan, ops, wgan
from minigen.gradcheck.catalogue import Quantity
from minigen.gradcheck.differences import five_point
from minigen.gradcheck.meaning import want
from minigen.mlp import ACTIVATIONS, MLPCache, input_gradient_backward, input_gradient_forward, mlp_forward
from minigen.typing import Array, Params

GENERATOR = {"w0": (2, 5), "b0": (5,), "w1": (5, 3), "b1": (3,)}  # z (., 2) -> x (., 3)
DISCRIMINATOR = {"w0": (3, 4), "b0": (4,), "w1": (4, 6), "b1": (6,), "w2": (6, 1), "b2": (1,)}
REAL, FAKE = 8, 4  # two sizes: a mean over the wrong one shows; 1/8 and 1/4 cancel without roundoff


def quantities() -> list[Quantity]:
    """The activations of the players, the double backward pass, and the losses of GAN and WGAN."""
    return [
        _activation("leaky-relu", leaky_relu_leaks),
        _activation("softplus", softplus_survives_800),
        *map(_input_gradient, ACTIVATIONS),
        _player(
            "gan-discriminator", DISCRIMINATOR, gan.discriminator_backward,
            lambda d, held: gan.discriminator_forward(d, held.real, held.fake, "leaky-relu", 0.9),
            kinked=lambda c: (c.real, c.fake), meaning=discriminator_loss_is_the_papers,
        ),
        _generator("minimax", minimax_is_log_1_minus_d),
        _generator("non-saturating", non_saturating_is_minus_log_d),
        _player(
            "wgan-critic", DISCRIMINATOR, wgan.critic_backward,
            lambda f, held: wgan.critic_forward(f, held.real, held.fake, "tanh"),
            meaning=critic_loss_rises_with_f_of_fakes,
        ),
        _player(
            "wgan-generator", GENERATOR, wgan.generator_backward,
            lambda g, held: wgan.generator_forward(g, held.d, held.z, ("tanh", "softplus")),
            meaning=generator_loss_is_minus_f,
        ),
        _penalty("tanh", np.tanh),
        _penalty("softplus", ops.softplus),
        _penalty("leaky-relu", _leaky),
    ]  # fmt: skip


def _generator(loss: str, meaning: Callable[[Any, Any], None]) -> Quantity:
    def forward(g: Params, held: _Held) -> tuple[float, Any]:
        return gan.generator_forward(g, held.d, held.z, loss, ("leaky-relu", "leaky-relu"))

    return _player(
        f"gan-{loss}", GENERATOR, gan.generator_backward, forward,
        kinked=lambda c: (c.generator, c.discriminator), meaning=meaning,
    )  # fmt: skip


def _penalty(activation: str, phi: Callable[[Array], Array]) -> Quantity:
    def forward(f: Params, held: _Held) -> tuple[float, Any]:
        return wgan.penalty_forward(f, held.real[:FAKE], held.fake, held.t, activation)

    def penalty_is_of_the_slope(forward: Any, backward: Any) -> None:
        """mean (|df/dx| - 1)^2 between real and fake, the slope by five-point differences."""
        f, held = _point(DISCRIMINATOR), _Held(np.dtype(float))
        x = held.t * held.real[:FAKE] + (1 - held.t) * held.fake
        slope = five_point(lambda v: _net(v, f, phi), x, np.ones((FAKE, 1)))
        wanted = ((np.sqrt((slope**2).sum(axis=1)) - 1) ** 2).mean()
        want("penalty", forward(*f.values())[0], wanted, 1e-7)

    return _player(
        f"gradient-penalty-{activation}", DISCRIMINATOR, wgan.penalty_backward, forward,
        kinked=(lambda c: (c.input_gradient.mlp,)) if activation == "leaky-relu" else None,
        meaning=penalty_is_of_the_slope,
    )  # fmt: skip


class _Held:
    """What a check holds still: both batches, the noise, the place between them, and the other player."""

    def __init__(self, dtype: np.dtype) -> None:
        rng = np.random.default_rng(2)
        dtype = np.empty(0, dtype).real.dtype
        self.real, self.fake, self.z = (
            rng.standard_normal(shape).astype(dtype) for shape in ((REAL, 3), (FAKE, 3), (REAL, 2))
        )
        self.t = rng.random((FAKE, 1)).astype(dtype)
        self.d = {name: rng.standard_normal(s).astype(dtype) for name, s in DISCRIMINATOR.items()}


def _player(
    name: str,
    shapes: dict[str, tuple[int, ...]],
    backward: Callable[[float, Any], Params],
    forward: Callable[[Params, Any], tuple[float, Any]],
    *,
    kinked: Callable[[Any], tuple[MLPCache, ...]] | None = None,
    meaning: Callable[[Any, Any], None],
) -> Quantity:
    """A player's loss as a function of its own arrays, in the order of their names."""

    def of_arrays(*arrays: Array) -> tuple[float, Any]:
        return forward(dict(zip(shapes, arrays)), _Held(arrays[0].dtype))

    def pulled(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads = backward(d_loss, cache)
        return tuple(grads[name] for name in shapes)

    return Quantity(
        name,
        of_arrays,
        pulled,
        draw=lambda rng: tuple(0.7 * rng.standard_normal(shape) for shape in shapes.values()),
        wrt=tuple(shapes),
        names=tuple(shapes),
        kinks=None if kinked is None else lambda *arrays: _kinks(*kinked(of_arrays(*arrays)[1])),
        meaning=(meaning,),
    )


def _input_gradient(activation: str) -> Quantity:
    """dy/dx of a perceptron, as a function of x and of its arrays."""

    def forward(x: Array, *arrays: Array) -> tuple[Array, Any]:
        _, cache = mlp_forward(x, dict(zip(DISCRIMINATOR, arrays)), activation)
        return input_gradient_forward(cache)

    def backward(d_g: Array, cache: Any) -> tuple[Array, ...]:
        d_x, grads = input_gradient_backward(d_g, cache)
        return (d_x, *(grads[name] for name in DISCRIMINATOR))

    return Quantity(
        f"input-gradient-{activation}",
        forward,
        backward,
        draw=lambda rng: tuple(rng.standard_normal(s) for s in ((FAKE, 3), *DISCRIMINATOR.values())),
        wrt=("x", *DISCRIMINATOR),
        names=("x", *DISCRIMINATOR),
        kinks=(lambda *args: _kinks(forward(*args)[1].mlp)) if activation.endswith("relu") else None,
    )


def _activation(name: str, meaning: Callable[[Any, Any], None]) -> Quantity:
    forward, backward, _ = ACTIVATIONS[name]
    kinks = (lambda x: x) if name.endswith("relu") else None
    draw = lambda rng: (rng.standard_normal((5, 7)),)  # noqa: E731
    return Quantity(name, forward, backward, draw, ("x",), ("x",), kinks, (meaning,))


def _kinks(*caches: MLPCache) -> Array:
    return np.concatenate([h.ravel() for cache in caches for h in cache.activations])


def _net(x: Array, params: Params, phi: Callable[[Array], Array]) -> Array:
    """A perceptron in the plainest words."""
    for n in range(len(params) // 2):
        x = (phi(x) if n else x) @ params[f"w{n}"] + params[f"b{n}"]
    return x


def _point(shapes: dict[str, tuple[int, ...]]) -> Params:
    rng = np.random.default_rng(3)
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def _leaky(h: Array) -> Array:
    return np.where(h > 0, h, h / 5)


def discriminator_loss_is_the_papers(forward: Any, backward: Any) -> None:
    """-log D on real examples, smoothed to 0.9, and -log(1 - D) on fakes; log 4 where D = 1/2."""
    d, held = _point(DISCRIMINATOR), _Held(np.dtype(float))
    p_real, p_fake = (1 / (1 + np.exp(-_net(x, d, _leaky))) for x in (held.real, held.fake))
    wanted = -(0.9 * np.log(p_real) + 0.1 * np.log(1 - p_real)).mean() - np.log(1 - p_fake).mean()
    want("loss of D", forward(*d.values())[0], wanted)
    want("loss of D = 1/2", forward(*(0 * w for w in d.values()))[0], np.log(4))


def _d_of_fakes(g: Params) -> Array:
    held = _Held(np.dtype(float))
    return 1 / (1 + np.exp(-_net(_net(held.z, g, _leaky), held.d, _leaky)))


def minimax_is_log_1_minus_d(forward: Any, backward: Any) -> None:
    """mean log(1 - D(G(z)))."""
    g = _point(GENERATOR)
    want("loss of G", forward(*g.values())[0], np.log(1 - _d_of_fakes(g)).mean())


def non_saturating_is_minus_log_d(forward: Any, backward: Any) -> None:
    """-mean log D(G(z))."""
    g = _point(GENERATOR)
    want("loss of G", forward(*g.values())[0], -np.log(_d_of_fakes(g)).mean())


def critic_loss_rises_with_f_of_fakes(forward: Any, backward: Any) -> None:
    """mean f(G(z)) - mean f(x)."""
    f, held = _point(DISCRIMINATOR), _Held(np.dtype(float))
    wanted = _net(held.fake, f, np.tanh).mean() - _net(held.real, f, np.tanh).mean()
    want("loss of the critic", forward(*f.values())[0], wanted)


def generator_loss_is_minus_f(forward: Any, backward: Any) -> None:
    """-mean f(G(z))."""
    g, held = _point(GENERATOR), _Held(np.dtype(float))
    wanted = -_net(_net(held.z, g, np.tanh), held.d, ops.softplus).mean()
    want("loss of G", forward(*g.values())[0], wanted)


def leaky_relu_leaks(forward: Any, backward: Any) -> None:
    """x above 0, x / 5 below, with those slopes."""
    y, cache = forward(np.array([-3.0, 2.0]))
    d_x = backward(np.array([5.0, 7.0]), cache)
    for got, wanted in zip([*y, *d_x], [-0.6, 2, 1, 7]):
        want("leaky relu", got, wanted)


def softplus_survives_800(forward: Any, backward: Any) -> None:
    """log(1 + e^x), finite at +-800."""
    for got, wanted in zip(forward(np.array([-800.0, 0, np.log(3), 800]))[0], [0, np.log(2), np.log(4), 800]):
        want("softplus", got, wanted)
