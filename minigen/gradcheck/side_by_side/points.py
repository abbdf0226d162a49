"""GAN and WGAN-GP on the ring of Gaussians, each player's loss with a place for the slip."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import gan, wgan
from minigen.data.toy import ring
from minigen.diagnose import mode_coverage
from minigen.gan_training import ACTIVATIONS, GAN, WGAN
from minigen.gradcheck.side_by_side.plant import loss_and_gradients
from minigen.gradcheck.side_by_side.scene import OWN_LOSS, Family, Figure, Points, Scene
from minigen.gradcheck.slips import Mutant
from minigen.typing import Array, Params

N_TRAIN, N_MEASURED, N_SHOWN = 25_600, 10_000, 1000
EPOCHS, STD = 40, 0.05  # wide enough for both to learn in seconds
FIGURES = {
    "modes": Figure("modes covered, of 8", +1, near=0.0),
    "precision": Figure("share of samples within 3 std of a mode", +1, near=0.1),
    OWN_LOSS: Figure("the discriminator's own loss in the last epoch", -1),
}


class PlantedGAN(GAN):
    """The GAN with a slip, or without, in one of its losses."""

    slip: Mutant | None = None

    def _discriminator(
        self, d: Params, real: Array, fake: Array, rng: np.random.Generator
    ) -> tuple[float, Params]:
        def forward(d: Params) -> tuple[float, Any]:
            return gan.discriminator_forward(d, real, fake, ACTIVATIONS[1], self.config.smooth)

        return loss_and_gradients(self.slip, "gan-discriminator", d, forward, gan.discriminator_backward)

    def _generator(self, g: Params, d: Params, z: Array) -> tuple[float, Params]:
        def forward(g: Params) -> tuple[float, Any]:
            return gan.generator_forward(g, d, z, self.config.loss, ACTIVATIONS)

        return loss_and_gradients(self.slip, f"gan-{self.config.loss}", g, forward, gan.generator_backward)


class PlantedWGAN(WGAN):
    """The WGAN-GP with a slip, or without, in one of its losses; its critic may be smooth."""

    slip: Mutant | None = None
    critic: str = ACTIVATIONS[1]

    def _discriminator(
        self, d: Params, real: Array, fake: Array, rng: np.random.Generator
    ) -> tuple[float, Params]:
        t = rng.random((len(real), 1), dtype=np.float32)

        def critic(d: Params) -> tuple[float, Any]:
            return wgan.critic_forward(d, real, fake, self.critic)

        def penalty(d: Params) -> tuple[float, Any]:
            return wgan.penalty_forward(d, real, fake, t, self.critic)

        name, weight = f"gradient-penalty-{self.critic}", self.config.penalty
        loss, grads = loss_and_gradients(self.slip, "wgan-critic", d, critic, wgan.critic_backward)
        more, d_more = loss_and_gradients(self.slip, name, d, penalty, wgan.penalty_backward, weight)
        return loss + weight * more, {key: grads[key] + d_more[key] for key in d}

    def _generator(self, g: Params, d: Params, z: Array) -> tuple[float, Params]:
        def forward(g: Params) -> tuple[float, Any]:
            return wgan.generator_forward(g, d, z, (ACTIVATIONS[0], self.critic))

        return loss_and_gradients(self.slip, "wgan-generator", g, forward, wgan.generator_backward)


def _gan(mutant: Mutant, planted: bool, seed: int, epochs: int | None) -> Scene:
    player = mutant.quantity.removeprefix("gan-")
    loss = "non-saturating" if player == "discriminator" else player
    model = PlantedGAN(seed=seed, epochs=epochs or EPOCHS, loss=loss)
    model.slip = mutant if planted else None
    return _scene(model)


def _wgan(mutant: Mutant, planted: bool, seed: int, epochs: int | None) -> Scene:
    model = PlantedWGAN(seed=seed, epochs=epochs or EPOCHS, hidden=48, d_layers=2, lr=4e-3)
    model.slip = mutant if planted else None
    if mutant.quantity.startswith("gradient-penalty-"):
        model.critic = mutant.quantity.removeprefix("gradient-penalty-")
    return _scene(model)


def _scene(model: PlantedGAN | PlantedWGAN) -> Scene:
    mixture, rng, seed = ring(std=STD), np.random.default_rng(0), model.config.seed
    data = mixture.sample(N_TRAIN, rng)

    def measure() -> dict[str, float]:
        samples = model.sample(N_MEASURED, np.random.default_rng([seed, 3]))
        coverage = mode_coverage(samples, *mixture)
        return {"modes": coverage.covered, "precision": coverage.precision}

    def picture() -> Points:
        return Points(model.sample(N_SHOWN, np.random.default_rng([seed, 3])), data[:N_SHOWN])

    return Scene(model, data, model.config.epochs, model.batch, seed, measure, picture)


GAN_ON_THE_RING = Family("GAN on the ring of 8 Gaussians", _gan, FIGURES)
WGAN_ON_THE_RING = Family("WGAN-GP on the ring of 8 Gaussians", _wgan, FIGURES)
