"""The generator of product features as a quantity: both likelihoods, through the code and every parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.gradcheck.catalogue import Quantity, random_rows
from minigen.gradcheck.meaning import want
from minigen.typing import CSR, Array

BATCH, LATENT, HIDDEN, GRAMS, BANDS = 6, 3, 5, 11, 4
NAMES = ("z", "w0", "b0", "w1", "b1")
_SHAPES = ((BATCH, LATENT), (LATENT, HIDDEN), (HIDDEN,), (HIDDEN, GRAMS + BANDS), (GRAMS + BANDS,))


def quantities() -> list[Quantity]:
    """The negative log-likelihood of features as a function of codes and parameters."""
    from minigen.application import feature_generator

    grams, band = _targets()

    def forward(z: Array, *arrays: Array) -> tuple[float, Any]:
        real = z.real.dtype
        params = dict(zip(NAMES[1:], arrays))
        return feature_generator.feature_nll_forward(params, z, grams.astype(real), band.astype(real))

    def backward(d_loss: float, cache: Any) -> tuple[Array, ...]:
        d_z, grads = feature_generator.feature_nll_backward(d_loss, cache)
        return (d_z, *(grads[name] for name in NAMES[1:]))

    return [
        Quantity(
            "feature-nll", forward, backward, _draw,
            NAMES, NAMES, meaning=(feature_nll_is_the_log_probability, feature_nll_survives_800),
        )
    ]  # fmt: skip


def _draw(rng: np.random.Generator) -> tuple[Array, ...]:
    return tuple(0.7 * rng.standard_normal(shape) for shape in _SHAPES)


def _targets() -> tuple[CSR, CSR]:
    rng = np.random.default_rng(7)
    grams, band = random_rows(rng, BATCH, GRAMS, 4), random_rows(rng, BATCH, BANDS, 2)
    grams.data /= 4  # shares of products, in [0, 1]
    return grams, band


def _at_logits(forward: Any, logits: Array) -> float:
    """The loss where the generator says `logits` (GRAMS + BANDS,) for every code."""
    arrays = [np.zeros(shape) for shape in _SHAPES]
    arrays[-1] += logits
    return forward(*arrays)[0]


def feature_nll_is_the_log_probability(forward: Any, backward: Any) -> None:
    """One feature at a time moved: the loss moves by what log sigmoid and log softmax say of the targets."""
    flat, (grams, band) = _at_logits(forward, np.zeros(GRAMS + BANDS)), _targets()
    for column, odds in ((2, 3.0), (GRAMS + 1, 3.0)):
        logits = np.zeros(GRAMS + BANDS)
        logits[column] = np.log(odds)
        loss = _at_logits(forward, logits)
        if column < GRAMS:
            x = grams.toarray()[:, column].mean()
            moved = -(x * np.log(0.75) + (1 - x) * np.log(0.25)) + np.log(0.5)
        else:
            shares = band.toarray()
            share, total = shares[:, 1].mean(), shares.sum(axis=1).mean()
            moved = -share * np.log(3) + total * (np.log(BANDS - 1 + 3) - np.log(BANDS))
        want(f"feature {column}", loss - flat, moved, 1e-9)


def feature_nll_survives_800(forward: Any, backward: Any) -> None:
    """Finite, and the sum of what each side costs, where every logit is +-800."""
    logits = np.where(np.arange(GRAMS + BANDS) % 2, 800.0, -800.0)
    x, shares = (part.toarray() for part in _targets())
    grams = np.where(logits[:GRAMS] > 0, 1 - x, x).sum(axis=1) * 800
    low = shares[:, logits[GRAMS:] < 0].sum(axis=1) * 1600
    high = shares.sum(axis=1) * np.log((logits[GRAMS:] > 0).sum())
    want("loss at +-800", _at_logits(forward, logits), (grams + low + high).mean(), 1e-9)
