"""CFGAN's players as quantities: each loss in its own parameters, rows, masks and noise held still."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.gradcheck.catalogue import Quantity, random_rows
from minigen.gradcheck.meaning import want
from minigen.typing import CSR, Array, Params

BATCH, PLACES, HIDDEN, HIDDEN_D, NOISE = 6, 11, 5, 4, 2
L2_G, L2_D = 0.3, 0.2
GAN, ZEROS, CLICKS = 0.7, 0.4, 0.9  # none of them 0 or 1: a lost or doubled weight shows


def quantities() -> list[Quantity]:
    """The discriminator, and the generator through it with every term that its loss may have."""
    from minigen.ladder import cfgan_model

    def discriminator(d: Params, held: _Held) -> tuple[float, Any]:
        return cfgan_model.discriminator_forward(d, held.x, held.fake, held.form)

    def generator(g: Params, held: _Held) -> tuple[float, Any]:
        z = held.z
        return cfgan_model.generator_forward(g, held.d, held.x, held.mask, held.zeros, held.form, z)

    return [
        _player("cfgan-discriminator", "d", discriminator, cfgan_model.discriminator_backward,
                discriminator_sees_pairs),
        _player("cfgan-generator", "g", generator, cfgan_model.generator_backward,
                generator_has_all_terms),
    ]  # fmt: skip


class _Held:
    """What a check holds still: rows, fakes, places, noise, and the discriminator."""

    def __init__(self, dtype: np.dtype) -> None:
        from minigen.ladder import cfgan_model

        rng, dtype = np.random.default_rng(2), np.empty(0, dtype).real.dtype
        self.form = cfgan_model.Form(GAN, ZEROS, CLICKS, L2_G, L2_D)
        x = random_rows(rng, BATCH, PLACES, 3)
        x.data[:] = 1
        free = x.toarray() == 0
        self.x: CSR = x.astype(dtype)
        self.zeros, pm = ((free & (rng.random(free.shape) < 0.6)).astype(dtype) for _ in "zp")
        self.mask = self.x.toarray() + pm
        self.fake = self.mask * rng.standard_normal(free.shape).astype(dtype)
        self.z = rng.standard_normal((BATCH, NOISE)).astype(dtype)
        shapes = cfgan_model.shapes(PLACES, HIDDEN, HIDDEN_D, NOISE)
        self.d = {k[2:]: rng.standard_normal(s).astype(dtype) for k, s in shapes.items() if k[0] == "d"}


def _player(
    name: str,
    player: str,
    forward: Callable[[Params, _Held], tuple[float, Any]],
    backward: Callable[[float, Any], Params],
    meaning: Callable[[Any, Any], None],
) -> Quantity:
    """A player's loss as a function of its own arrays, in the order of their names."""
    shapes = _shapes(player)

    def of_arrays(*arrays: Array) -> tuple[float, Any]:
        return forward(dict(zip(shapes, arrays)), _Held(arrays[0].dtype))

    def pulled(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads = backward(d_loss, cache)
        return tuple(grads[key] for key in shapes)

    return Quantity(
        name, of_arrays, pulled,
        lambda rng: tuple(0.7 * rng.standard_normal(shape) for shape in shapes.values()),
        tuple(shapes), tuple(shapes), meaning=(meaning,),
    )  # fmt: skip


def _shapes(player: str) -> dict[str, tuple[int, ...]]:
    from minigen.ladder import cfgan_model

    shapes = cfgan_model.shapes(PLACES, HIDDEN, HIDDEN_D, NOISE)
    return {key[2:]: shape for key, shape in shapes.items() if key[0] == player}


def _point(player: str) -> Params:
    rng = np.random.default_rng(3)
    return {key: rng.standard_normal(shape) for key, shape in _shapes(player).items()}


def _sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def _p_real(d: Params, condition: Array, data: Array) -> Array:
    """D in the plainest words: the row and what stands beside it as one long vector."""
    both, w = np.concatenate([condition, data], axis=1), np.concatenate([d["w_condition"], d["w_data"]])
    return _sigmoid(_sigmoid(both @ w + d["b_in"]) @ d["w_out"] + d["b_out"])[:, 0]


def _squares(params: Params) -> float:
    return float(sum((w**2).sum() for w in params.values()))


def discriminator_sees_pairs(forward: Any, backward: Any) -> None:
    """-log D of a row beside itself, -log(1 - D) of a fake beside the row it was made for."""
    d, held = _point("d"), _Held(np.dtype(float))
    x = held.x.toarray()
    wanted = -np.log(_p_real(d, x, x)).mean() - np.log(1 - _p_real(d, x, held.fake)).mean()
    want("loss of D", forward(*d.values())[0], wanted + L2_D / 2 * _squares(d))


def generator_has_all_terms(forward: Any, backward: Any) -> None:
    """-log D of what the mask leaves of y; squares of y where it should be 0, of y - 1 at the clicks."""
    g, held = _point("g"), _Held(np.dtype(float))
    x = held.x.toarray()
    h = _sigmoid(x @ g["w_in"] + held.z @ g["w_noise"] + g["b_in"])
    y = h @ g["w_out"] + g["b_out"]
    wanted = -GAN * np.log(_p_real(held.d, x, y * held.mask)).mean()
    wanted += ZEROS * (held.zeros * y**2).sum(axis=1).mean() + CLICKS * (x * (y - 1) ** 2).sum(axis=1).mean()
    want("loss of G", forward(*g.values())[0], wanted + L2_G / 2 * _squares(g))
