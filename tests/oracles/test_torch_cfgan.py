"""CFGAN's players against float64 autograd, on the same rows, places and noise: to 1e-10."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from minigen.ladder import cfgan_model
from minigen.ladder.cfgan_model import Form

torch = pytest.importorskip("torch")
from torch.nn.functional import binary_cross_entropy_with_logits as bce  # noqa: E402

RTOL, ATOL = 1e-10, 1e-13
B, N, H, H_D, Z = 7, 12, 6, 5, 3
FORMS = pytest.mark.parametrize(
    "form", [Form(), Form(0.6, 0.3, 0.8, 0.1, 0.2), Form(gan=0.0, clicks=0.5), Form(zeros=0.0, l2_g=0.0)]
)


@pytest.fixture
def case(rng):
    params = {n: rng.standard_normal(s) for n, s in cfgan_model.shapes(N, H, H_D, Z).items()}
    x = sparse.csr_matrix((rng.random((B, N)) < 0.3) * 1.0)
    zeros, pm = ((x.toarray() == 0) & (rng.random((B, N)) < 0.6) for _ in "zp")
    g, d = (cfgan_model.player(params, name) for name in "gd")
    return g, d, x, x.toarray() + pm, zeros * 1.0, rng.standard_normal((B, Z))


def tensors(params):
    return {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}


def verdict(d, condition, data):
    both = torch.cat([condition, data], dim=1)
    h = torch.sigmoid(both @ torch.cat([d["w_condition"], d["w_data"]]) + d["b_in"])
    return h @ d["w_out"] + d["b_out"]


def generated(g, x, z):
    h = torch.sigmoid(torch.cat([x, z], dim=1) @ torch.cat([g["w_in"], g["w_noise"]]) + g["b_in"])
    return h @ g["w_out"] + g["b_out"]


def squares(params):
    return sum((w * w).sum() for w in params.values())


def agree(loss, grads, reference, params):
    """Value, and every gradient at an upstream gradient of 1.7."""
    assert loss == pytest.approx(reference.item(), rel=1e-12)
    for name, grad in zip(params, torch.autograd.grad(1.7 * reference, list(params.values()))):
        np.testing.assert_allclose(grads[name], grad.numpy(), RTOL, ATOL, err_msg=name)


@FORMS
def test_discriminator(form, case, rng):
    _, d, x, mask, _, _ = case
    fake = mask * rng.standard_normal((B, N))
    loss, cache = cfgan_model.discriminator_forward(d, x, fake, form)
    p, rows = tensors(d), torch.tensor(x.toarray())
    on_real, on_fake = verdict(p, rows, rows), verdict(p, rows, torch.tensor(fake))
    reference = bce(on_real, torch.ones_like(on_real)) + bce(on_fake, torch.zeros_like(on_fake))
    agree(loss, cfgan_model.discriminator_backward(1.7, cache), reference + form.l2_d / 2 * squares(p), p)


@FORMS
def test_generator_through_the_discriminator(form, case):
    g, d, x, mask, zeros, z = case
    loss, cache = cfgan_model.generator_forward(g, d, x, mask, zeros, form, z)
    p, rows = tensors(g), torch.tensor(x.toarray())
    y = generated(p, rows, torch.tensor(z))
    logits = verdict(tensors(d), rows, y * torch.tensor(mask))
    reference = form.gan * bce(logits, torch.ones_like(logits))
    reference = reference + form.zeros * (torch.tensor(zeros) * y**2).sum(dim=1).mean()
    reference = reference + form.clicks * (rows * (y - 1) ** 2).sum(dim=1).mean()
    agree(loss, cfgan_model.generator_backward(1.7, cache), reference + form.l2_g / 2 * squares(p), p)
