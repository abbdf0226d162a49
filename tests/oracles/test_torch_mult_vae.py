"""The whole loss of the autoencoders against float64 autograd: same weights, noise and mask, to 1e-10."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import ops
from minigen.gradcheck.models import random_rows
from minigen.recommender import autoencoder
from minigen.recommender.autoencoder import Form

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

FORMS = {
    "mult-vae": Form(),
    "seed-vae": Form("relu", "bernoulli", normalise=False, keep=1.0),
    "relu-multinomial": Form("relu", "multinomial", normalise=True, keep=0.7),
    "tanh-bernoulli": Form("tanh", "bernoulli", normalise=True, keep=0.7),
}


def _reference(p, x, form, mask, eps, beta):
    """Written from the paper: log-likelihood and KL by torch.distributions."""
    activate = {"tanh": torch.tanh, "relu": torch.relu}[form.activation]
    h = functional.normalize(x, dim=1) if form.normalise else x
    h = h * mask / form.keep
    if "w_in" in p:
        h = activate(h @ p["w_in"] + p["b_in"])
    mu, log_var = h @ p["w_mu"] + p["b_mu"], h @ p["w_log_var"] + p["b_log_var"]
    std = torch.exp(log_var / 2)
    h = mu + std * eps
    if "w_dec" in p:
        h = activate(h @ p["w_dec"] + p["b_dec"])
    logits = h @ p["w_out"] + p["b_out"]
    if form.likelihood == "multinomial":
        nll = -(x * functional.log_softmax(logits, 1)).sum(1).mean()
    else:
        nll = -torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(1).mean()
    posterior, prior = torch.distributions.Normal(mu, std), torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    return nll + beta * kl, nll, kl


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("beta", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("hidden", [8, 0])
def test_loss_terms_and_every_gradient_agree(form, beta, hidden, rng):
    batch, items, latent = 9, 31, 5
    x = random_rows(rng, batch, items, 6)
    if form.likelihood == "bernoulli":
        x.data[:] = 1
    mask = ops.dropout_mask(x.nnz, form.keep, rng) if form.keep < 1 else None
    eps = rng.standard_normal((batch, latent))
    params = {
        name: rng.standard_normal(w.shape) / np.sqrt(len(w))
        for name, w in autoencoder.init_params(items, hidden, latent, form, rng).items()
    }

    terms, cache = autoencoder.forward(params, x, form, mask, eps, beta)
    grads = autoencoder.backward(cache, form, beta)

    dense_mask = np.ones((batch, items))
    if mask is not None:
        dense_mask[x.nonzero()] = mask
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}
    wanted = _reference(
        tensors, torch.tensor(x.toarray()), form, torch.tensor(dense_mask), torch.tensor(eps), beta
    )
    got = terms.loss, terms.nll, terms.kl
    np.testing.assert_allclose(got, [term.item() for term in wanted], rtol=1e-12)
    wanted[0].backward()
    assert set(grads) == set(params)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), 1e-10, 1e-12, err_msg=name)
