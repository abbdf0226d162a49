"""GANs against float64 autograd, the gradient penalty against its double backward pass: to 1e-10."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import gan, wgan
from minigen.mlp import init_mlp, input_gradient_backward, input_gradient_forward, mlp_forward

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

RTOL, ATOL = 1e-10, 1e-13
PHI = {
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "relu": torch.relu,
    "leaky-relu": lambda h: functional.leaky_relu(h, 0.2),
}
ACTIVATIONS = pytest.mark.parametrize("activation", PHI)


def network(rng, *sizes):
    params = init_mlp(sizes, rng, dtype=np.float64)
    return {name: w + rng.standard_normal(w.shape) / 3 for name, w in params.items()}


def tensors(params):
    return {name: torch.tensor(w, requires_grad=True) for name, w in params.items()}


def net(x, params, phi):
    for n in range(len(params) // 2):
        x = functional.linear(phi(x) if n else x, params[f"w{n}"].T, params[f"b{n}"])
    return x


def agree(loss, cache, backward, reference, params):
    """Value, and every gradient at an upstream gradient of 1.7."""
    assert loss == pytest.approx(reference.item(), rel=1e-12, abs=1e-13)
    grads = backward(1.7, cache)
    wanted = torch.autograd.grad(1.7 * reference, list(params.values()), allow_unused=True)
    for name, grad in zip(params, wanted):
        expected = 0 if grad is None else grad.numpy()  # None: the loss does not depend on it
        np.testing.assert_allclose(grads[name], expected, RTOL, ATOL, err_msg=name)


@pytest.fixture
def case(rng):
    g, d = network(rng, 2, 6, 5, 3), network(rng, 3, 7, 4, 1)
    return g, d, rng.standard_normal((9, 3)), rng.standard_normal((6, 3)), rng.standard_normal((8, 2))


@ACTIVATIONS
@pytest.mark.parametrize("smooth", [1.0, 0.9])
def test_discriminator(activation, smooth, case):
    _, d, real, fake, _ = case
    loss, cache = gan.discriminator_forward(d, real, fake, activation, smooth)
    p, phi = tensors(d), PHI[activation]
    bce = functional.binary_cross_entropy_with_logits
    on_real, on_fake = net(torch.tensor(real), p, phi), net(torch.tensor(fake), p, phi)
    reference = bce(on_real, torch.full_like(on_real, smooth)) + bce(on_fake, torch.zeros_like(on_fake))
    agree(loss, cache, gan.discriminator_backward, reference, p)


@ACTIVATIONS
@pytest.mark.parametrize("name", gan.GENERATOR_LOSSES)
def test_generator_through_the_discriminator(activation, name, case):
    g, d, _, _, z = case
    loss, cache = gan.generator_forward(g, d, z, name, (activation, activation))
    p, phi = tensors(g), PHI[activation]
    logits = net(net(torch.tensor(z), p, phi), tensors(d), phi)
    log_p = {"minimax": functional.logsigmoid(-logits), "non-saturating": -functional.logsigmoid(logits)}
    agree(loss, cache, gan.generator_backward, log_p[name].mean(), p)


@ACTIVATIONS
def test_critic_and_its_generator(activation, case):
    g, f, real, fake, z = case
    p, phi = tensors(f), PHI[activation]
    loss, cache = wgan.critic_forward(f, real, fake, activation)
    reference = net(torch.tensor(fake), p, phi).mean() - net(torch.tensor(real), p, phi).mean()
    agree(loss, cache, wgan.critic_backward, reference, p)
    loss, cache = wgan.generator_forward(g, f, z, (activation, activation))
    q = tensors(g)
    agree(loss, cache, wgan.generator_backward, -net(net(torch.tensor(z), q, phi), p, phi).mean(), q)


@ACTIVATIONS
def test_gradient_penalty_by_double_backward(activation, case, rng):
    _, f, real, fake, _ = case
    t = rng.random((6, 1))
    loss, cache = wgan.penalty_forward(f, real[:6], fake, t, activation)
    p = tensors(f)
    x = torch.tensor(t * real[:6] + (1 - t) * fake, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x, p, PHI[activation]).sum(), x, create_graph=True)
    agree(loss, cache, wgan.penalty_backward, ((slope.norm(dim=1) - 1) ** 2).mean(), p)


@ACTIVATIONS
def test_input_gradient_and_its_backward(activation, case, rng):
    _, f, real, _, _ = case
    g, cache = input_gradient_forward(mlp_forward(real, f, activation)[1])
    p, x = tensors(f), torch.tensor(real, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x, p, PHI[activation]).sum(), x, create_graph=True)
    np.testing.assert_allclose(g, slope.detach().numpy(), RTOL, ATOL)
    d_g = rng.standard_normal(g.shape)
    d_x, grads = input_gradient_backward(d_g, cache)
    wanted = torch.autograd.grad(slope, [x, *p.values()], torch.tensor(d_g), allow_unused=True)
    for name, grad in zip(["x", *p], wanted):
        mine = d_x if name == "x" else grads[name]
        expected = 0 if grad is None else grad.numpy()
        np.testing.assert_allclose(mine, expected, RTOL, ATOL, err_msg=name)
