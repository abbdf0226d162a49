"""Chapter 04: losses, and how to go down."""

from __future__ import annotations

import numpy as np

from minigen import ops
from minigen.exercises.registry import Answer, exercise
from minigen.exercises.same import same_as
from minigen.gradcheck import GradientError, assert_gradients
from minigen.gradcheck.meaning import want


@exercise(1)
def a_discriminator_is_sure(surprise_forward: Answer, surprise_backward: Answer) -> None:
    """The mean of -log sigmoid(l), at any size of l."""
    want("loss at -800 and 800", surprise_forward(np.array([-800.0, 800.0]))[0], 400)
    want("loss of 7 zeros", surprise_forward(np.zeros(7))[0], np.log(2), batch=7)
    assert_gradients(surprise_forward, surprise_backward, [np.random.default_rng(1).standard_normal((7, 1))])


@exercise(2)
def between_any_two_gaussians(kl_between: Answer) -> None:
    """KL of two Gaussians in one dimension, against the integral on a grid."""
    mu1, v1, mu2, v2 = 0.5, -0.4, -0.7, 0.6
    z = np.linspace(-20, 20, 20_001)
    first, second = (
        -((z - mu) ** 2 / np.exp(v) + v + np.log(2 * np.pi)) / 2 for mu, v in ((mu1, v1), (mu2, v2))
    )
    there, back = (
        float((np.exp(p) * (p - q)).sum() * (z[1] - z[0])) for p, q in ((first, second), (second, first))
    )
    got = kl_between(mu1, v1, mu2, v2)
    if np.isclose(got, back):
        raise GradientError(f"KL: want {there:.4f}, got {got:.4f}: that is the way back, KL(second || first)")
    want("KL", got, there, 1e-9)


@exercise(3)
def a_temperature(tempered_forward: Answer, tempered_backward: Answer) -> None:
    """The multinomial loss of logits over a temperature."""
    args = [np.random.default_rng(1).standard_normal((3, 4)), np.array([2.0])]
    assert_gradients(tempered_forward, tempered_backward, args)


@exercise(4)
def decay_that_adam_cannot_divide_away(decayed_step: Answer) -> None:
    """Weight decay beside Adam, not through it."""
    w, start = np.array([3.0, -0.01]), np.array([3.0, -0.01])
    state = ops.AdamState.zeros_like(w)
    for _ in range(10):
        decayed_step(w, np.zeros(2), state, lr=0.1, decay=0.2)
    share, wanted = w / start, (1 - 0.1 * 0.2) ** 10
    if not np.allclose(share, wanted):
        raise GradientError(f"after 10 steps: want both weights at {wanted:.3f} of their start, got {share}")


@exercise(5)
def kl_from_an_empty_page(my_kl_forward: Answer, my_kl_backward: Answer) -> None:
    """KL of a diagonal Gaussian to the standard one: sum over Z, mean over B."""
    same_as("gaussian-kl", my_kl_forward, my_kl_backward)


@exercise(6)
def every_item_competes(my_softmax_nll_forward: Answer, my_softmax_nll_backward: Answer) -> None:
    """The multinomial loss of baskets: sum over items, mean over B, safe at +-800."""
    same_as("softmax-nll", my_softmax_nll_forward, my_softmax_nll_backward)
