"""RecVAE as a quantity: its loss in every parameter, the old encoder held still; and its operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.catalogue import Quantity, random_rows
from minigen.gradcheck.meaning import want
from minigen.typing import Array

BATCH, ITEMS, HIDDEN, LATENT, LAYERS = 6, 9, 5, 4, 3
NORM_EPS = 0.1


def quantities() -> list[Quantity]:
    """The operations that RecVAE brings, and RecVAE."""
    return [
        Quantity(
            "swish", ops.swish_forward, ops.swish_backward, lambda rng: (2 * rng.standard_normal((5, 7)),),
            ("x",), meaning=(swish_is_x_sigmoid,),
        ),
        Quantity(
            "layer-norm", _layer_norm_forward, ops.layer_norm_backward,
            lambda rng: (3 + 2 * rng.standard_normal((5, 7)), *rng.standard_normal((2, 7))),
            ("x", "gain", "b"), meaning=(rows_have_one_scale,),
        ),
        Quantity(
            "composite-prior", ops.composite_log_prob_forward, ops.composite_log_prob_backward,
            lambda rng: tuple(rng.standard_normal((3, 5, 4))), ("z",),
            meaning=(composite_density_integrates_to_1, composite_prior_survives_800),
        ),
        _recvae(),
    ]  # fmt: skip


def _layer_norm_forward(x: Array, gain: Array, b: Array) -> Any:
    return ops.layer_norm_forward(x, gain, b, NORM_EPS)


def _recvae() -> Quantity:
    """The loss of a batch as a function of both players' parameters, in the order of their names."""
    from minigen.ladder import recvae_model

    rng = np.random.default_rng(5)
    form = recvae_model.Form(keep=0.6, gamma=0.2)
    shapes = recvae_model.shapes(ITEMS, HIDDEN, LATENT, LAYERS)
    x = random_rows(rng, BATCH, ITEMS, 4)
    mask = ops.dropout_mask(x.nnz, form.keep, rng)
    eps = rng.standard_normal((BATCH, LATENT))
    old = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}

    def forward(*arrays: Array) -> tuple[float, Any]:
        real = arrays[0].real.dtype
        before = {name: array.astype(real) for name, array in old.items()}
        params = dict(zip(shapes, arrays))
        terms, cache = recvae_model.forward(params, before, x.astype(real), form, mask, eps.astype(real))
        return terms.loss, cache

    def backward(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads = recvae_model.encoder_gradients(cache) | recvae_model.decoder_gradients(cache)
        return tuple(d_loss * grads[name] for name in shapes)

    return Quantity(
        "recvae", forward, backward,
        lambda rng: tuple(0.5 * rng.standard_normal(shape) for shape in shapes.values()),
        tuple(shapes), tuple(shapes),
    )  # fmt: skip


def swish_is_x_sigmoid(forward: Any, backward: Any) -> None:
    """x / (1 + e^-x): x far to the right, 0 far to the left."""
    want("swish", forward(np.array([-800.0, 0, np.log(3), 800]))[0], [0, 0, 0.75 * np.log(3), 800])


def rows_have_one_scale(forward: Any, backward: Any) -> None:
    """Without gain and shift: mean 0, variance v / (v + eps), each row by itself."""
    x = np.array([[1.0, 2, 6], [-3, 0, 3], [4, 4, 4]])
    y, _ = forward(x, np.ones(3), np.zeros(3))
    variance = x.var(axis=1)
    want("means", y.mean(axis=1), [0, 0, 0])
    want("variances", y.var(axis=1), variance / (variance + NORM_EPS))


def composite_density_integrates_to_1(forward: Any, backward: Any) -> None:
    """The sum of exp(log p) over a fine grid, wherever the old posterior lay."""
    z = np.linspace(-1500, 1500, 300_001)[:, None]  # ten standard deviations of the broad component
    for mu, log_var in ((0.0, 0.0), (3.0, -2.0), (-40.0, 1.5)):
        log_p, _ = forward(z, np.full_like(z, mu), np.full_like(z, log_var))
        want(f"integral, old posterior at {mu:g}", np.exp(log_p).sum() * 0.01, 1, 1e-9)


def composite_prior_survives_800(forward: Any, backward: Any) -> None:
    """Finite at +-800, where the broad component alone is left: log(.1 N(z; 0, e^10)) a coordinate."""
    z = np.array([[800.0, -800.0]])
    log_p, cache = forward(z, np.zeros((1, 2)), np.zeros((1, 2)))
    of_one = np.log(0.1) - (np.log(2 * np.pi) + 10 + 800**2 / np.exp(10)) / 2
    want("log p at +-800", log_p, [2 * of_one], 1e-9)
    want("d_z", backward(np.ones(1), cache), -z / np.exp(10), 1e-9)
