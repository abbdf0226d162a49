"""The steps of small models, where calls cost more than products: a VAE on bits, a GAN on a ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.bench.cases import Case

_IMAGES = 2_980  # twenty calls of the compiled step's 149 batches would be 59,600; one call is enough here


def vae_cases(backend: str) -> dict[str, Case]:
    """784-200-200-50 on images of bits, batch 20, Adam: the experiment of Burda et al. 2016 with k = 1."""
    rng = np.random.default_rng(0)
    images = (rng.random((_IMAGES, 28, 28)) * 255 * (rng.random((_IMAGES, 28, 28)) < 0.2)).astype(np.uint8)
    gflop = 6e-9 * 20 * (2 * 784 * 200 + 2 * 200 * 200 + 200 * 100 + 50 * 200)
    if backend == "numba":
        return {"vae_step": Case(_compiled(images), gflop)}
    rows = images[:20].reshape(20, -1) / np.float32(255)
    return {"vae_step": Case(_numpy_vae(rows) if backend == "numpy" else _torch_vae(rows, backend), gflop)}


def gan_cases(backend: str) -> dict[str, Case]:
    """Both players' step on the ring of eight Gaussians, at the defaults of `minigen generate gan`."""
    from minigen.gan_training import GAN

    rows = np.random.default_rng(0).standard_normal((25_600, 2), dtype=np.float32)
    model = GAN()
    model.start(rows)
    if backend == "numpy":
        batch = rows[: model.batch]
        return {"gan_step": Case(lambda: model.train_step(batch, np.random.default_rng(0), 0)["loss"])}
    return {"gan_step": Case(_torch_gan(model, rows[: model.batch], backend))}


def _compiled(images: np.ndarray) -> Callable[[], float]:
    """One step of the compiled experiment: a call of one batch."""
    from minigen.reproduce.iwae_mnist import Experiment, Settings

    experiment, rng = Experiment(Settings(k=1), images, steps=1), np.random.default_rng(1)
    rows = np.arange(20)
    return lambda: experiment.train_step(rows, rng, 0)["loss"]


def _numpy_vae(rows: np.ndarray) -> Callable[[], float]:
    from minigen.vae_training import VAE

    model = VAE(
        hidden=200, layers=2, latent=50, activation="tanh", likelihood="bernoulli", batch=20, epochs=1
    )
    model.start(rows)
    rng = np.random.default_rng(1)
    return lambda: model.train_step(rows, rng, 0)["loss"]


def _torch_mlp(params: dict[str, np.ndarray], prefix: str, hidden: Any) -> Any:
    """The layers w0, b0, w1, b1, ... of ours as a torch module."""
    import torch

    layers: list[Any] = []
    n = 0
    while f"{prefix}w{n}" in params:
        w, b = params[f"{prefix}w{n}"], params[f"{prefix}b{n}"]
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data, linear.bias.data = torch.tensor(w.T.copy()), torch.tensor(b)
        layers += [linear, hidden()]
        n += 1
    return torch.nn.Sequential(*layers[:-1])


def _torch_vae(rows: np.ndarray, flavour: str) -> Callable[[], float]:
    import torch
    from torch.nn import functional

    from minigen import vae
    from minigen.reproduce.iwae_mnist import SIZES

    params = vae.init_params(SIZES, np.random.default_rng(0))
    encoder, decoder = (_torch_mlp(params, f"{part}.", torch.nn.Tanh) for part in ("encoder", "decoder"))
    weights = [*encoder.parameters(), *decoder.parameters()]
    adam = torch.optim.Adam(weights, lr=1e-3, fused=True if flavour != "torch-eager" else None)
    grey = torch.from_numpy(rows)

    def loss_of(x: Any, eps: Any) -> Any:
        mu, log_var = encoder(x).chunk(2, 1)
        logits = decoder(mu + torch.exp(log_var / 2) * eps)
        nll = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        return nll + 0.5 * (mu * mu + log_var.exp() - 1 - log_var).sum(1).mean()

    loss_of = torch.compile(loss_of) if flavour == "torch-compile" else loss_of

    def step() -> float:
        adam.zero_grad(set_to_none=True)
        loss = loss_of(torch.bernoulli(grey), torch.randn(len(grey), SIZES[-1]))
        loss.backward()
        adam.step()
        return loss.item()

    return step


def _torch_gan(model: Any, rows: np.ndarray, flavour: str) -> Callable[[], float]:
    import torch
    from torch.nn import functional

    generator = _torch_mlp(model.params, "generator.", torch.nn.ReLU)
    discriminator = _torch_mlp(model.params, "discriminator.", lambda: torch.nn.LeakyReLU(0.2))
    fused = True if flavour != "torch-eager" else None
    adams = [
        torch.optim.Adam(player.parameters(), lr=2e-3, betas=(0.5, 0.999), fused=fused)
        for player in (generator, discriminator)
    ]
    real, latent = torch.from_numpy(rows), model.config.latent

    def d_loss(z: Any) -> Any:
        fake = generator(z).detach()
        return (
            functional.softplus(-discriminator(real)).mean() + functional.softplus(discriminator(fake)).mean()
        )

    def g_loss(z: Any) -> Any:
        return functional.softplus(-discriminator(generator(z))).mean()

    losses = [torch.compile(f) if flavour == "torch-compile" else f for f in (g_loss, d_loss)]

    def step() -> float:
        for adam, loss_of in reversed(list(zip(adams, losses))):
            adam.zero_grad(set_to_none=True)
            loss = loss_of(torch.randn(len(real), latent))
            loss.backward()
            adam.step()
        return loss.item()

    return step
