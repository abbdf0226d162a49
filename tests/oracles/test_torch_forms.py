"""Other forms of the autoencoder, against float64 autograd: no noise, a penalty, a linear path."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import ops
from minigen.gradcheck.models import random_rows
from minigen.ladder.linear_path import log_shares_backward, log_shares_forward
from minigen.recommender import autoencoder
from minigen.recommender.autoencoder import Form

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

BATCH, ITEMS, LATENT = 9, 31, 5
FORMS = {
    "ae": Form("tanh", "bernoulli", keep=1.0, stochastic=False),
    "dae": Form("tanh", "bernoulli", keep=0.6, stochastic=False),
    "mult-dae": Form("relu", "multinomial", keep=0.6, stochastic=False, l2=0.03),
    "vae-with-penalty": Form("tanh", "multinomial", keep=0.6, l2=0.02),
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
depths = pytest.mark.parametrize("hidden", [8, 0])


def _reference(p, x, form, dropped, eps, beta, path):
    """The loss as the papers have it, from a row that dropout has already been through."""
    activate = {"tanh": torch.tanh, "relu": torch.relu}[form.activation]
    h = dropped
    if "w_in" in p:
        h = activate(h @ p["w_in"] + p["b_in"])
    z, kl = h @ p["w_mu"] + p["b_mu"], torch.zeros((), dtype=torch.float64)
    if form.stochastic:
        posterior = torch.distributions.Normal(z, torch.exp((h @ p["w_log_var"] + p["b_log_var"]) / 2))
        kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
        z = posterior.loc + posterior.scale * eps
    h = activate(z @ p["w_dec"] + p["b_dec"]) if "w_dec" in p else z
    logits = h @ p["w_out"] + p["b_out"]
    if path is not None:
        logits = logits + p["gain"] * path
    if form.likelihood == "multinomial":
        nll = -(x * functional.log_softmax(logits, 1)).sum(1).mean()
    else:
        nll = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    return nll + beta * kl + form.l2 * sum((w**2).sum() for name, w in p.items() if name[:2] == "w_")


def _agree(form, hidden, rng, path=None, beta=0.3):
    x = random_rows(rng, BATCH, ITEMS, 6)
    if form.likelihood == "bernoulli":
        x.data[:] = 1
    mask = ops.dropout_mask(x.nnz, form.keep, rng) if form.keep < 1 else None
    eps = rng.standard_normal((BATCH, LATENT)) if form.stochastic else None
    params = {
        name: rng.standard_normal(w.shape) / np.sqrt(len(w))
        for name, w in autoencoder.init_params(ITEMS, hidden, LATENT, form, rng).items()
    }
    if path is not None:
        params["gain"] = np.array([1.7])
    terms, cache = autoencoder.forward(params, x, form, mask, eps, beta, path=path)
    grads = autoencoder.backward(cache, form, beta)

    dropped = functional.normalize(torch.tensor(x.toarray()), dim=1).numpy()  # one row is empty
    if mask is not None:
        dropped[x.nonzero()] *= mask / form.keep
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}
    wanted = _reference(
        tensors,
        torch.tensor(x.toarray()),
        form,
        torch.tensor(dropped),
        None if eps is None else torch.tensor(eps),
        beta,
        None if path is None else torch.tensor(path),
    )
    np.testing.assert_allclose(terms.loss, wanted.item(), rtol=1e-12)
    wanted.backward()
    assert set(grads) == set(params)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), 1e-10, 1e-12, err_msg=name)


@forms
@depths
def test_without_noise_or_with_a_penalty_loss_and_gradients_agree(form, hidden, rng):
    _agree(form, hidden, rng)


@pytest.mark.parametrize(
    "form", [Form(), FORMS["dae"], FORMS["mult-dae"]], ids=["mult-vae", "dae", "mult-dae"]
)
@depths
def test_with_a_linear_path_beside_the_decoder_loss_and_gradients_agree(form, hidden, rng):
    _agree(form, hidden, rng, path=rng.standard_normal((BATCH, ITEMS)))


def test_log_shares_and_their_gradient_agree(rng):
    scores, d_y = rng.standard_normal((2, BATCH, ITEMS))
    scores[3] = -np.abs(scores[3])  # a row without a score above 0
    y, cache = log_shares_forward(scores)
    s = torch.tensor(scores, requires_grad=True)
    positive = torch.relu(s)
    mean = positive.mean(1, keepdim=True)
    wanted = torch.log1p(positive / torch.where(mean == 0, torch.ones_like(mean), mean))
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=1e-12)
    wanted.backward(torch.tensor(d_y))
    np.testing.assert_allclose(log_shares_backward(d_y, cache), s.grad.numpy(), 1e-10, 1e-14)
