"""VAEs as quantities: log-likelihoods row by row, the ELBO and the IWAE bound in every parameter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigen import iwae, linear_gaussian, losses, vae
from minigen.gradcheck.catalogue import Quantity
from minigen.gradcheck.meaning import want
from minigen.linear_gaussian import LinearGaussian
from minigen.typing import Array
from minigen.vae import Form

BATCH, K, SIZES = 5, 4, (7, 6, 3)  # D, H, Z
BETA = 0.3  # neither 0 nor 1: a lost or doubled weight shows


def quantities() -> list[Quantity]:
    """Two log-likelihoods; the ELBO and the IWAE bound, with each likelihood."""
    return [
        Quantity(
            "bernoulli-log-prob", losses.bernoulli_log_prob_forward, losses.bernoulli_log_prob_backward,
            lambda rng: (2 * rng.standard_normal((5, 7)), rng.uniform(0, 1, (5, 7))), ("logits",),
            meaning=(log_prob_of_bits_survives_800,),
        ),
        Quantity(
            "gaussian-log-prob", losses.gaussian_log_prob_forward, losses.gaussian_log_prob_backward,
            lambda rng: tuple(rng.standard_normal((3, 5, 7))), ("x", "mu", "log_var"),
            meaning=(density_integrates_to_1,),
        ),
        _elbo("vae-bernoulli", Form("tanh", "bernoulli")),
        _elbo("vae-gaussian", Form("softplus", "gaussian"), elbo_meets_the_evidence),
        _iwae("iwae-bernoulli", Form("tanh", "bernoulli")),
        _iwae("iwae-gaussian", Form("softplus", "gaussian"), bound_of_any_sample_is_the_evidence),
    ]  # fmt: skip


def _elbo(name: str, form: Form, *meaning: Callable[[Any, Any], None]) -> Quantity:
    x, eps = _held(form, (BATCH, SIZES[-1]))

    def forward(params: dict[str, Array], x: Array, eps: Array, beta: float = BETA) -> tuple[float, Any]:
        terms, cache = vae.elbo_forward(params, x, eps, form, beta)
        return terms.loss, cache

    return _model(name, form, forward, vae.elbo_backward, x, eps, meaning)


def _iwae(name: str, form: Form, *meaning: Callable[[Any, Any], None]) -> Quantity:
    x, eps = _held(form, (BATCH, K, SIZES[-1]))

    def forward(params: dict[str, Array], x: Array, eps: Array) -> tuple[float, Any]:
        return iwae.iwae_forward(params, x, eps, form)

    return _model(name, form, forward, iwae.iwae_backward, x, eps, meaning)


def _held(form: Form, noise: tuple[int, ...]) -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((BATCH, SIZES[0]))
    return (x > 0) * 1.0 if form.likelihood == "bernoulli" else x, rng.standard_normal(noise)


def _model(
    name: str, form: Form, loss: Any, gradients: Any, x: Array, eps: Array, meaning: tuple[Any, ...]
) -> Quantity:
    """`loss(params, x, eps)` as a function of the arrays of params, for x and eps held still."""
    shapes = {key: w.shape for key, w in vae.init_params(SIZES, np.random.default_rng(0), form).items()}

    def forward(*arrays: Any) -> tuple[float, Any]:
        if isinstance(arrays[0], dict):  # a check of meaning brings a model of its own
            return loss(*arrays)
        real = arrays[0].real.dtype
        return loss(dict(zip(shapes, arrays)), x.astype(real), eps.astype(real))

    def backward(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads = gradients(d_loss, cache)
        return tuple(grads[key] for key in shapes)

    return Quantity(
        name, forward, backward,
        lambda rng: tuple(0.5 * rng.standard_normal(shape) for shape in shapes.values()),
        tuple(shapes), tuple(shapes), meaning=meaning,
    )  # fmt: skip


def log_prob_of_bits_survives_800(forward: Any, backward: Any) -> None:
    """Finite and right at logits of +-800, row by row."""
    logits, x = np.array([[800.0, -800.0], [800.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    want("log p", forward(logits, x)[0], [0, -800 - math.log(2)])


def density_integrates_to_1(forward: Any, backward: Any) -> None:
    """The sum of exp(log p) over a fine grid, at three variances."""
    x = np.linspace(-40, 40, 80_001)[:, None]
    for log_var in (-2.0, 0.0, 2.0):
        log_p, _ = forward(x, np.full_like(x, 0.3), np.full_like(x, log_var))
        want(f"integral at log_var {log_var:g}", np.exp(log_p).sum() * (x[1] - x[0]), [1.0], 1e-9)


def _linear_model() -> tuple[LinearGaussian, Array]:
    """A linear-Gaussian model whose true posterior is a diagonal Gaussian, and data."""
    rng = np.random.default_rng(3)
    rows = np.linalg.qr(rng.standard_normal((7, 3)))[0].T * np.array([[2.0], [1.0], [0.5]])
    return LinearGaussian(rows, rng.standard_normal(7), -0.7), rng.standard_normal((6, 7))


def elbo_meets_the_evidence(forward: Any, backward: Any) -> None:
    """The ELBO is log p(x) where q is the true posterior."""
    model, x = _linear_model()
    # The loss is quadratic in eps: the 2 Z points +-sqrt(Z) e_z have the mean and the variance of N(0, I).
    points = math.sqrt(3) * np.concatenate([np.eye(3), -np.eye(3)])
    params = linear_gaussian.as_vae(model)
    loss = np.mean([forward(params, x, np.tile(point, (6, 1)), 1.0)[0] for point in points])
    want("-ELBO", loss, -linear_gaussian.log_evidence(model, x).mean(), 1e-10)


def bound_of_any_sample_is_the_evidence(forward: Any, backward: Any) -> None:
    """With the true posterior for q, p(x|z) p(z) / q(z|x) = p(x) at every z."""
    model, x = _linear_model()
    eps = np.random.default_rng(4).standard_normal((6, 4, 3))
    loss, _ = forward(linear_gaussian.as_vae(model), x, eps)
    want("-bound", loss, -linear_gaussian.log_evidence(model, x).mean(), 1e-10)
