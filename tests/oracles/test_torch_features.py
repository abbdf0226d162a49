"""The generator of product features against autograd: both likelihoods, back to the code."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from minigen.application.feature_generator import feature_nll_backward, feature_nll_forward
from minigen.gradcheck.catalogue import random_rows

torch = pytest.importorskip("torch")
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax  # noqa: E402

BATCH, LATENT, HIDDEN, GRAMS, BANDS = 7, 4, 6, 13, 5


@pytest.mark.parametrize("hidden", [0, HIDDEN])
def test_loss_and_gradients_are_those_of_autograd(hidden, rng):
    grams, band = random_rows(rng, BATCH, GRAMS, 3), random_rows(rng, BATCH, BANDS, 2)
    grams.data /= 3
    sizes = [LATENT, *([hidden] if hidden else []), GRAMS + BANDS]
    params = {}
    for n, (i, o) in enumerate(pairwise(sizes)):
        params |= {f"w{n}": rng.standard_normal((i, o)), f"b{n}": rng.standard_normal(o)}
    z = rng.standard_normal((BATCH, LATENT))
    loss, cache = feature_nll_forward(params, z, grams, band)
    d_z, grads = feature_nll_backward(1.0, cache)

    t = {name: torch.tensor(w, requires_grad=True) for name, w in (params | {"z": z}).items()}
    h = t["z"] @ t["w0"] + t["b0"]
    if hidden:
        h = torch.tanh(h) @ t["w1"] + t["b1"]
    bits = binary_cross_entropy_with_logits(h[:, :GRAMS], torch.tensor(grams.toarray()), reduction="sum")
    prices = -(torch.tensor(band.toarray()) * log_softmax(h[:, GRAMS:], dim=1)).sum()
    oracle = (bits + prices) / BATCH
    oracle.backward()
    assert loss == pytest.approx(oracle.item(), rel=1e-12)
    for name, grad in (grads | {"z": d_z}).items():
        np.testing.assert_allclose(grad, t[name].grad.numpy(), rtol=1e-9, atol=1e-12)
