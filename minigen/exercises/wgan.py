"""Chapter 06: Wasserstein GANs."""

from __future__ import annotations

import numpy as np

from minigen import wgan
from minigen.exercises.registry import Answer, exercise
from minigen.exercises.same import same_gradients
from minigen.gradcheck import GradientError, assert_gradients
from minigen.gradcheck.meaning import want
from minigen.mlp import ACTIVATIONS, Activation, init_mlp, input_gradient_forward, mlp_forward


@exercise(1)
def the_distance_on_a_line(distance_on_a_line: Answer) -> None:
    """W of two samples on a line, against the cheapest assignment."""
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(1)
    for shift, scale in ((3, 1), (0, 4), (1, 0.2)):
        x, y = rng.standard_normal(200), shift + scale * rng.standard_normal(200)
        cost = np.abs(x[:, None] - y)
        wanted = cost[linear_sum_assignment(cost)].mean()
        want(f"W from N(0, 1) to N({shift}, {scale}^2)", distance_on_a_line(x, y), wanted, 1e-9)


@exercise(2)
def a_bound_on_the_slope(slope_bound: Answer) -> None:
    """A Lipschitz constant: no slope above it, and no larger than the product of the layers' own."""
    rng = np.random.default_rng(1)
    for sizes in ([4, 9, 1], [2, 1], [3, 8, 7, 1]):
        f = init_mlp(sizes, rng, "leaky-relu", np.float64)
        _, cache = mlp_forward(rng.standard_normal((500, sizes[0])), f, "leaky-relu")
        steepest = np.linalg.norm(input_gradient_forward(cache)[0], axis=1).max()
        bound = slope_bound(f)
        if bound < steepest - 1e-9:
            raise GradientError(
                f"sizes {sizes}: a slope of {steepest:.2f} was found, above your bound {bound:.2f}"
            )
        product = np.prod([np.linalg.norm(w, 2) for name, w in f.items() if name[0] == "w"])
        if bound > product + 1e-9:
            raise GradientError(f"sizes {sizes}: your bound is {bound:.2f}, and {product:.2f} will do")


@exercise(3)
def an_activation_of_your_own(bend: Answer) -> None:
    """The second derivative of a soft ReLU, inside the penalty of a critic."""

    def forward(h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (h + np.sqrt(h**2 + 1)) / 2, h

    def backward(d_y: np.ndarray, h: np.ndarray) -> np.ndarray:
        return d_y * (1 + h / np.sqrt(h**2 + 1)) / 2

    rng = np.random.default_rng(1)
    critic = init_mlp([3, 5, 4, 1], rng, "tanh", np.float64)
    real, fake, t = rng.standard_normal((6, 3)), rng.standard_normal((6, 3)), rng.random((6, 1))
    ACTIVATIONS["soft-relu"] = Activation(forward, backward, bend)
    try:
        _, cache = wgan.penalty_forward(critic, real, fake, t, "soft-relu")
        grads = wgan.penalty_backward(1.0, cache)
        same_gradients(lambda f: wgan.penalty_forward(f, real, fake, t, "soft-relu")[0], grads, critic)
    finally:
        del ACTIVATIONS["soft-relu"]


@exercise(4)
def the_second_order_by_hand(d_w0_by_hand: Answer) -> None:
    """The gradient of half the squared slope in the first weight of a critic with one hidden layer."""
    rng = np.random.default_rng(1)
    x, b0, w1 = rng.standard_normal((6, 3)), rng.standard_normal(4), rng.standard_normal((4, 1))

    def forward(w0: np.ndarray) -> tuple[float, np.ndarray]:
        g = (w1.T * (1 - np.tanh(x @ w0 + b0) ** 2)) @ w0.T
        return (g * g).sum() / 2, w0

    def backward(d_loss: float, w0: np.ndarray) -> np.ndarray:
        return d_loss * d_w0_by_hand(x, w0, b0, w1)

    assert_gradients(forward, backward, [rng.standard_normal((3, 4))])


@exercise(5)
def who_wants_what(critic_loss: Answer, generator_loss: Answer) -> None:
    """The two losses and their slopes at the critic's values; the critic's batches differ in size."""
    rng = np.random.default_rng(1)
    f_real, f_fake = rng.standard_normal((8, 1)), rng.standard_normal((5, 1))
    for name, (loss, *slopes), wanted, right in (
        (
            "critic_loss", critic_loss(f_real, f_fake), f_fake.mean() - f_real.mean(),
            {"f_real": (f_real, -1 / 8), "f_fake": (f_fake, 1 / 5)},
        ),
        ("generator_loss", generator_loss(f_fake), -f_fake.mean(), {"f_fake": (f_fake, -1 / 5)}),
    ):  # fmt: skip
        if np.isclose(loss, -wanted):
            raise GradientError(
                f"{name}: want {wanted:.4g}, got {loss:.4g}: the sign is flipped, and we minimise"
            )
        want(name, loss, wanted)
        for (what, (f, slope)), got in zip(right.items(), slopes, strict=True):
            want(f"{name}: d_{what}", got, np.full_like(f, slope), batch=len(f))
