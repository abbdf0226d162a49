"""The model of several behaviours against float64 autograd: same weights, noise and mask, to 1e-10."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import ops
from minigen.gradcheck.catalogue import random_rows
from minigen.ladder import behaviours_model as room
from minigen.recommender.autoencoder import Form

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

NAMES = ("view", "cart", "buy")


def _reference(p, x, mask, keep, eps, beta, weights):
    batch = len(x)
    parts = x.reshape(batch, len(NAMES), -1)
    h = functional.normalize(parts, dim=2).reshape(batch, -1) * mask / keep
    if "w_in" in p:
        h = torch.tanh(h @ p["w_in"] + p["b_in"])
    posterior = torch.distributions.Normal(
        h @ p["w_mu"] + p["b_mu"], torch.exp((h @ p["w_log_var"] + p["b_log_var"]) / 2)
    )
    h = posterior.loc + posterior.scale * eps
    if "w_dec" in p:
        h = torch.tanh(h @ p["w_dec"] + p["b_dec"])
    costs = []
    for n, name in enumerate(NAMES):
        if f"w_out.{name}" in p:
            log_p = functional.log_softmax(h @ p[f"w_out.{name}"] + p[f"b_out.{name}"], 1)
            costs.append(-(parts[:, n] * log_p).sum(1).mean())
    costs = torch.stack(costs)
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    if weights:
        nll = costs @ torch.tensor([w for w in weights if w], dtype=costs.dtype)
    else:
        nll = len(costs) * torch.exp(torch.log(costs).mean())
    return nll + beta * kl, nll, kl


@pytest.mark.parametrize("hidden", [8, 0])
@pytest.mark.parametrize("weights", [(), (0.1, 0.4, 1.3), (0.0, 0.7, 2.0)])
def test_loss_terms_and_every_gradient_agree(hidden, weights, rng):
    batch, items, latent, keep, beta = 9, 11, 5, 0.6, 0.3
    x = random_rows(rng, batch, len(NAMES) * items, 8)
    mask = ops.dropout_mask(x.nnz, keep, rng)
    eps = rng.standard_normal((batch, latent))
    channels = room.Channels(Form(normalise=False, keep=keep), NAMES, weights)
    params = {
        name: rng.standard_normal(shape) / np.sqrt(shape[0])
        for name, shape in room.shapes(len(NAMES) * items, hidden, latent, channels).items()
    }
    terms, cache = room.forward(params, x, channels, mask, eps, beta)
    grads = room.backward(cache, channels, beta)

    dense_mask = np.ones(x.shape)
    dense_mask[x.nonzero()] = mask
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}
    wanted = _reference(
        tensors, torch.tensor(x.toarray()), torch.tensor(dense_mask), keep, torch.tensor(eps), beta, weights
    )
    got = terms.loss, terms.nll, terms.kl
    np.testing.assert_allclose(got, [term.item() for term in wanted], rtol=1e-12)
    wanted[0].backward()
    assert set(grads) == set(params)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), 1e-10, 1e-12, err_msg=name)
