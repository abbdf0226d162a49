"""Whole models as quantities: the loss of a batch in every parameter, noise and dropout mask held still."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck import meaning
from minigen.gradcheck.catalogue import Quantity, random_rows
from minigen.ops.sparse import Lines
from minigen.typing import Array

BATCH, ITEMS, HIDDEN, LATENT = 6, 13, 5, 3
BETA = 0.3  # neither 0 nor 1: a lost or doubled weight shows
L2 = 0.02


def models() -> list[Quantity]:
    """The autoencoders as their recommenders train them."""
    from minigen.ladder.linear_path import log_shares_backward, log_shares_forward
    from minigen.recommender.autoencoder import Form
    from minigen.recommender.sampled import Proposal

    return [
        autoencoder_quantity("mult-vae", Form()),
        autoencoder_quantity("mult-vae-linear", Form(), hidden=0),
        autoencoder_quantity("mult-vae-sampled", Form(), negatives=4),
        autoencoder_quantity("seed-vae", Form("relu", "bernoulli", normalise=False, keep=1.0)),
        autoencoder_quantity("dae", Form(likelihood="bernoulli", stochastic=False)),
        autoencoder_quantity("mult-dae", Form(stochastic=False, l2=L2)),
        autoencoder_quantity("linear-vae", Form(), with_path=True),
        Quantity(
            "log-shares", log_shares_forward, log_shares_backward, lambda rng: (rng.standard_normal((5, 7)),),
            ("scores",), kinks=lambda scores: scores, meaning=(meaning.half_of_it_is_the_shares,),
        ),
        Quantity("sampled-softmax", Proposal.draw, meaning=(meaning.partition_sum_is_right_on_average,)),
    ]  # fmt: skip


def autoencoder_quantity(
    name: str, form: Any, hidden: int = HIDDEN, negatives: int = 0, with_path: bool = False
) -> Quantity:
    """The negative ELBO of a batch as a function of the parameters, in the order of their names.

    With `negatives`, as a step with so many draws estimates it; with a path, beside another model's scores.
    """
    from minigen.recommender import autoencoder, sampled

    rng = np.random.default_rng(1)
    x = random_rows(rng, BATCH, ITEMS, 1 if negatives else 4)  # some items are left to be drawn
    if form.likelihood == "bernoulli":
        x.data[:] = 1
    mask = ops.dropout_mask(x.nnz, form.keep, rng) if form.keep < 1 else None
    eps = rng.standard_normal((BATCH, LATENT))
    draws = sampled.Proposal(sampled.popularity(x)).draw(x, negatives, rng) if negatives else None
    shapes = {k: v.shape for k, v in autoencoder.init_params(ITEMS, hidden, LATENT, form, rng).items()}
    path = None
    if with_path:
        path, shapes["gain"] = rng.standard_normal((BATCH, ITEMS)), (1,)

    def forward(*arrays: Array) -> tuple[float, Any]:
        params, rows, real = dict(zip(shapes, arrays)), x, _real(arrays[0].dtype)
        if draws is not None:
            params, rows = sampled.take(params, draws), draws.x
        said = None if path is None else path.astype(real)
        terms, cache = autoencoder.forward(
            params, rows.astype(real), form, mask, eps.astype(real), BETA, path=said
        )
        return terms.loss, cache

    def backward(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads: dict[str, Any] = autoencoder.backward(cache, form, BETA)
        if draws is not None:
            grads = sampled.give(grads, draws)
        whole = (g.whole(shapes[name]) if isinstance(g, Lines) else g for name, g in grads.items())
        found = dict(zip(grads, whole))
        return tuple(d_loss * found[name] for name in shapes)

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
