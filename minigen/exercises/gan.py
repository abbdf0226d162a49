"""Chapter 05: generative adversarial networks."""

from __future__ import annotations

import numpy as np

from minigen import gan
from minigen.exercises.registry import Answer, exercise
from minigen.exercises.same import same_gradients
from minigen.gradcheck import GradientError
from minigen.gradcheck.meaning import want
from minigen.mlp import init_mlp


@exercise(1)
def two_passes_two_caches(d_of_both: Answer) -> None:
    """The gradient of the discriminator's loss for batches of different sizes."""
    rng = np.random.default_rng(1)
    d = init_mlp([3, 4, 1], rng, "tanh", np.float64)
    real, fake = rng.standard_normal((8, 3)), rng.standard_normal((4, 3))
    same_gradients(
        lambda player: gan.discriminator_forward(player, real, fake, "tanh")[0], d_of_both(d, real, fake), d
    )


@exercise(2)
def through_the_discriminator(d_of_generator: Answer) -> None:
    """The gradient of the non-saturating loss in the generator's weights."""
    rng = np.random.default_rng(1)
    g, d = init_mlp([2, 6, 3], rng, "tanh", np.float64), init_mlp([3, 4, 1], rng, "tanh", np.float64)
    z = rng.standard_normal((8, 2))

    def loss(player: dict) -> float:
        return gan.generator_forward(player, d, z, "non-saturating", ("tanh", "tanh"))[0]

    grads = d_of_generator(g, d, z)
    if isinstance(grads, dict) and grads and not any(np.any(grad) for grad in grads.values()):
        raise GradientError("every gradient is 0: the fakes are detached from the generator")
    same_gradients(loss, grads, g, batch=len(z))


@exercise(3)
def the_best_discriminator_under_smoothing(best_smoothed: Answer) -> None:
    """The D of least loss at each point, by trying many."""
    p, q = np.random.default_rng(1).random((2, 50))
    tried = np.linspace(1e-3, 1 - 1e-3, 4_001)[:, None]
    for a in (1.0, 0.9, 0.7):
        losses = -p * (a * np.log(tried) + (1 - a) * np.log(1 - tried)) - q * np.log(1 - tried)
        want(f"D with a = {a}", best_smoothed(p, q, a), tried[losses.argmin(axis=0), 0], 1e-3)


@exercise(4)
def how_many_modes_really(effective: Answer) -> None:
    """The effective number of modes."""
    for counts, wanted in (
        ([125] * 8, 8),
        ([1_000, 0, 0, 0], 1),
        ([500, 500, 0], 2),
        ([997, 1, 1, 1], 1.0240),
    ):
        want(f"modes of {counts}", effective(np.array(counts)), wanted, 1e-3)
