"""Whole models as quantities: the loss of a batch in every parameter, noise and dropout mask held still."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.catalogue import Quantity, random_rows
from minigen.typing import Array

BATCH, ITEMS, HIDDEN, LATENT = 6, 13, 5, 3
BETA = 0.3  # neither 0 nor 1: a lost or doubled weight shows
L2 = 0.02


def models() -> list[Quantity]:
    """The autoencoders as their recommenders train them."""
    from minigen.recommender.autoencoder import Form

    return [
        autoencoder_quantity("mult-vae", Form()),
        autoencoder_quantity("mult-vae-linear", Form(), hidden=0),
        autoencoder_quantity("seed-vae", Form("relu", "bernoulli", normalise=False, keep=1.0)),
        autoencoder_quantity("dae", Form(likelihood="bernoulli", stochastic=False)),
        autoencoder_quantity("mult-dae", Form(stochastic=False, l2=L2)),
    ]


def autoencoder_quantity(name: str, form: Any, hidden: int = HIDDEN) -> Quantity:
    """The negative ELBO of a batch as a function of the parameters, in the order of their names."""
    from minigen.recommender import autoencoder

    rng = np.random.default_rng(1)
    x = random_rows(rng, BATCH, ITEMS, 4)
    if form.likelihood == "bernoulli":
        x.data[:] = 1
    mask = ops.dropout_mask(x.nnz, form.keep, rng) if form.keep < 1 else None
    eps = rng.standard_normal((BATCH, LATENT))
    shapes = {k: v.shape for k, v in autoencoder.init_params(ITEMS, hidden, LATENT, form, rng).items()}

    def forward(*arrays: Array) -> tuple[float, Any]:
        dtype = arrays[0].dtype
        terms, cache = autoencoder.forward(
            dict(zip(shapes, arrays)), x.astype(_real(dtype)), form, mask, eps.astype(_real(dtype)), BETA
        )
        return terms.loss, cache

    def backward(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads = autoencoder.backward(cache, form, BETA)
        return tuple(d_loss * grads[name] for name in shapes)

    def kinks(*arrays: Array) -> Array:
        _, cache = forward(*arrays)
        return np.concatenate([cache.encoder_act.ravel(), cache.decoder_act.ravel()])

    return Quantity(
        name,
        forward,
        backward,
        draw=lambda rng: tuple(0.5 * rng.standard_normal(shape) for shape in shapes.values()),
        wrt=tuple(shapes),
        names=tuple(shapes),
        kinks=kinks if form.activation == "relu" else None,
    )


def _real(dtype: np.dtype) -> np.dtype:
    return np.empty(0, dtype).real.dtype
