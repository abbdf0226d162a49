"""ELBO and IWAE bound against float64 autograd: same weights, same noise, every gradient to 1e-10."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import iwae, vae
from minigen.vae import Form

torch = pytest.importorskip("torch")
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence  # noqa: E402

FORMS = [Form("tanh", "bernoulli"), Form("softplus", "gaussian"), Form("relu", "bernoulli")]
PHI = {"tanh": torch.tanh, "softplus": torch.nn.functional.softplus, "relu": torch.relu}
BATCH, K, SIZES = 6, 7, (11, 9, 8, 4)


@pytest.fixture(params=FORMS, ids=lambda form: f"{form.activation}-{form.likelihood}")
def case(request, rng):
    form = request.param
    params = {
        name: w + 0.1 * rng.standard_normal(w.shape)
        for name, w in vae.init_params(SIZES, rng, form, np.float64).items()
    }
    x = rng.standard_normal((BATCH, SIZES[0]))
    return form, params, (x > 0) * 1.0 if form.likelihood == "bernoulli" else x


def _mlp(p, name, h, phi):
    for n in range(3):
        h = h @ p[f"{name}.w{n}"] + p[f"{name}.b{n}"]
        h = phi(h) if n < 2 else h
    return h


def _distributions(p, form, x, eps):
    """q(z|x), z and p(x|z) by torch.distributions; eps has any leading axes before (B, Z)."""
    mu, log_var = _mlp(p, "encoder", x, PHI[form.activation]).chunk(2, dim=1)
    q = Normal(mu, torch.exp(log_var / 2))
    z = q.mean + q.stddev * eps
    y = _mlp(p, "decoder", z, PHI[form.activation])
    gaussian = form.likelihood == "gaussian"
    p_x = Normal(y, torch.exp(p["decoder.log_var"] / 2)) if gaussian else Bernoulli(logits=y)
    return q, z, Independent(p_x, 1)


def _compare(params, loss, grads, wanted, tensors):
    assert loss == pytest.approx(wanted.item(), rel=1e-12)
    wanted.backward()
    assert set(grads) == set(params)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), 1e-10, 1e-12, err_msg=name)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_elbo_and_every_gradient(case, beta, rng):
    form, params, x = case
    eps = rng.standard_normal((BATCH, SIZES[-1]))
    terms, cache = vae.elbo_forward(params, x, eps, form, beta)
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}
    q, _, p_x = _distributions(tensors, form, torch.tensor(x), torch.tensor(eps))
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1).mean()
    wanted = -p_x.log_prob(torch.tensor(x)).mean() + beta * kl
    _compare(params, terms.loss, vae.elbo_backward(1.0, cache), wanted, tensors)


@pytest.mark.parametrize("k", [1, K])
def test_iwae_bound_and_every_gradient(case, k, rng):
    form, params, x = case
    eps = rng.standard_normal((BATCH, k, SIZES[-1]))
    loss, cache = iwae.iwae_forward(params, x, eps, form)
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}
    q, z, p_x = _distributions(tensors, form, torch.tensor(x), torch.tensor(eps.swapaxes(0, 1)))
    log_w = p_x.log_prob(torch.tensor(x)) + Normal(0.0, 1.0).log_prob(z).sum(2) - q.log_prob(z).sum(2)
    wanted = -(torch.logsumexp(log_w, 0) - np.log(k)).mean()
    _compare(params, loss, iwae.iwae_backward(1.0, cache), wanted, tensors)
