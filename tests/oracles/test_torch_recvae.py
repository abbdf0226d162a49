"""RecVAE against float64 autograd: same weights, noise and mask, to 1e-10."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import ops
from minigen.gradcheck.catalogue import random_rows
from minigen.ladder import recvae_model

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402


def _encode(p, x, layers):
    """Written from the paper, each skip sum anew."""
    below = []
    h = x
    for n in range(1, layers + 1):
        a = h @ p[f"w{n}"] + p[f"b{n}"] + sum(below)
        h = functional.layer_norm(functional.silu(a), a.shape[1:], p[f"gain{n}"], p[f"shift{n}"], eps=0.1)
        below.append(h)
    return h @ p["w_mu"] + p["b_mu"], h @ p["w_log_var"] + p["b_log_var"]


def _reference(p, old, x, form, mask, eps, layers):
    clean = functional.normalize(x, dim=1)
    mu, log_var = _encode(p, clean * mask / form.keep, layers)
    with torch.no_grad():
        old_mu, old_log_var = _encode(old, clean, layers)
    posterior = torch.distributions.Normal(mu, torch.exp(log_var / 2))
    z = mu + eps * torch.exp(log_var / 2)
    zero = torch.zeros_like(mu)
    prior = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.tensor(form.shares, dtype=z.dtype)),
        torch.distributions.Normal(
            torch.stack([zero, old_mu, zero], -1),
            torch.exp(torch.stack([zero, old_log_var, zero + 10], -1) / 2),
        ),
    )
    kl = (posterior.log_prob(z) - prior.log_prob(z)).sum(1)
    nll = -(x * functional.log_softmax(z @ p["w_out"] + p["b_out"], 1)).sum(1)
    weight = form.beta or form.gamma * x.sum(1)
    return (nll + weight * kl).mean(), nll.mean(), kl.mean()


@pytest.mark.parametrize("layers", [0, 1, 5])
@pytest.mark.parametrize(
    "form",
    [
        recvae_model.Form(),
        recvae_model.Form(0.7, 0.3, (0.3, 0.3, 0.4)),
        recvae_model.Form(0.7, 0.3, (0.3, 0.3, 0.4), beta=0.6),
    ],
)
def test_loss_terms_and_every_gradient_agree(form, layers, rng):
    batch, items, latent, hidden = 9, 31, 5, 8
    x = random_rows(rng, batch, items, 6)
    mask = ops.dropout_mask(x.nnz, form.keep, rng)
    eps = rng.standard_normal((batch, latent))
    params, old = (
        {
            name: rng.standard_normal(shape) / np.sqrt(shape[0])
            for name, shape in recvae_model.shapes(items, hidden, latent, layers).items()
        }
        for _ in "ab"
    )
    terms, cache = recvae_model.forward(params, old, x, form, mask, eps)
    grads = recvae_model.encoder_gradients(cache) | recvae_model.decoder_gradients(cache)

    dense_mask = np.ones((batch, items))
    dense_mask[x.nonzero()] = mask
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}
    before = {name: torch.tensor(w) for name, w in old.items()}
    wanted = _reference(
        tensors, before, torch.tensor(x.toarray()), form, torch.tensor(dense_mask), torch.tensor(eps), layers
    )
    got = terms.loss, terms.nll, terms.kl
    np.testing.assert_allclose(got, [term.item() for term in wanted], rtol=1e-12)
    wanted[0].backward()
    assert set(grads) == set(params)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), 1e-10, 1e-12, err_msg=name)
