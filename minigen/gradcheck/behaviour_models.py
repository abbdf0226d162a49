"""The autoencoder of several behaviours as a quantity: its loss in every parameter, the noise held still."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.catalogue import Quantity, random_rows
from minigen.gradcheck.meaning import want
from minigen.typing import Array

BATCH, ITEMS, HIDDEN, LATENT = 6, 7, 5, 3
NAMES = ("view", "cart", "buy")
BETA, KEEP = 0.3, 0.6
GIVEN = (0.4, 0.0, 1.7)  # the second has no head


def quantities() -> list[Quantity]:
    """With heads that cost the same; with given weights and without hidden layers."""
    return [_quantity("behaviour-vae", (), HIDDEN), _quantity("behaviour-vae-weighted", GIVEN, 0)]


def _quantity(name: str, weights: tuple[float, ...], hidden: int) -> Quantity:
    from minigen.ladder import behaviours_model as model
    from minigen.recommender.autoencoder import Form

    rng = np.random.default_rng(4)
    channels = model.Channels(Form(normalise=False, keep=KEEP), NAMES, weights)
    x = random_rows(rng, BATCH, len(NAMES) * ITEMS, 5)
    mask = ops.dropout_mask(x.nnz, KEEP, rng)
    eps = rng.standard_normal((BATCH, LATENT))
    shapes = model.shapes(len(NAMES) * ITEMS, hidden, LATENT, channels)

    def forward(*arrays: Array) -> tuple[float, Any]:
        real = arrays[0].real.dtype
        params = dict(zip(shapes, arrays))
        terms, cache = model.forward(params, x.astype(real), channels, mask, eps.astype(real), BETA)
        return terms.loss, cache

    def backward(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads = model.backward(cache, channels, BETA)
        return tuple(d_loss * grads[key] for key in shapes)

    def loss_in_plain_words(forward: Any, backward: Any) -> None:
        """Each block of length 1, a softmax a head; w of product 1, and w_b cost_b all the same."""
        rng = np.random.default_rng(6)
        p = {key: rng.standard_normal(shape) for key, shape in shapes.items()}
        dense = x.toarray().reshape(BATCH, len(NAMES), ITEMS)
        length = np.sqrt((dense**2).sum(axis=2, keepdims=True))
        shown = (dense / np.where(length, length, 1)).reshape(BATCH, -1)
        shown[x.nonzero()] *= mask / KEEP
        h = np.tanh(shown @ p["w_in"] + p["b_in"]) if hidden else shown
        mu, log_var = h @ p["w_mu"] + p["b_mu"], h @ p["w_log_var"] + p["b_log_var"]
        z = mu + np.exp(log_var / 2) * eps
        h = np.tanh(z @ p["w_dec"] + p["b_dec"]) if hidden else z
        costs = {}
        for n, suffix in channels.heads():
            logits = h @ p[f"w_out{suffix}"] + p[f"b_out{suffix}"]
            log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            costs[n] = -(dense[:, n] * log_p).sum() / BATCH
        kl = (np.exp(log_var) + mu**2 - 1 - log_var).sum() / 2 / BATCH
        if weights:
            wanted = sum(weights[n] * cost for n, cost in costs.items())
        else:
            wanted = len(costs) * np.prod(list(costs.values())) ** (1 / len(costs))
        want("loss", forward(*p.values())[0], wanted + BETA * kl, 1e-9)

    return Quantity(
        name, forward, backward,
        lambda rng: tuple(0.5 * rng.standard_normal(shape) for shape in shapes.values()),
        tuple(shapes), tuple(shapes), meaning=(loss_in_plain_words,),
    )  # fmt: skip
