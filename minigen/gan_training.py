"""GANs as models with settings: what the training loop trains, and what draws samples afterwards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from minigen import gan, wgan
from minigen.errors import InputError
from minigen.mlp import init_mlp, mlp_forward
from minigen.optimizers import Adam, Optimizer
from minigen.schedules import cosine_decay
from minigen.training.settings import with_settings
from minigen.typing import Array, Params

ACTIVATIONS = ("relu", "leaky-relu")  # of the generator and of the discriminator


@dataclass(frozen=True)
class Settings:
    """Sizes and optimiser of both players; `d_steps` batches of the discriminator to one of the generator."""

    latent: int = 2
    hidden: int = 64
    g_layers: int = 3  # hidden ones
    d_layers: int = 2
    d_steps: int = 1
    lr: float = 2e-3  # falls to 0 along half a cosine
    batch: int = 256
    epochs: int = 80
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "g_layers", "d_layers", "d_steps", "batch", "epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: want at least 1, got {getattr(self, name)}")
        if not 0 < self.lr < math.inf:
            raise InputError(f"lr: want a number above 0, got {self.lr}")
        if self.seed < 0:
            raise InputError(f"seed: want at least 0, got {self.seed}")


@dataclass(frozen=True)
class GANSettings(Settings):
    """`loss` of the generator; `smooth`: the discriminator's label of real examples."""

    loss: str = "non-saturating"
    smooth: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in gan.GENERATOR_LOSSES:
            raise InputError(f"loss: want {' or '.join(gan.GENERATOR_LOSSES)}, got {self.loss}")
        if not 0.5 < self.smooth <= 1:
            raise InputError(f"smooth: want above 0.5 and at most 1, got {self.smooth}")


@dataclass(frozen=True)
class WGANSettings(Settings):
    """`penalty`: the weight lambda of the gradient penalty; with 0, weights are clipped at `clip` instead."""

    d_steps: int = 2
    d_layers: int = 3
    epochs: int = 300
    penalty: float = 0.1
    clip: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.penalty < math.inf and 0 < self.clip < math.inf):
            raise InputError(
                f"want penalty of at least 0 and clip above 0, got {self.penalty} and {self.clip}"
            )


class Adversarial(ABC):
    """Two players over standardised rows.  Keyword arguments are the fields of its settings.

    Arrays: generator.*, discriminator.*, and the centre (D,) and scale (1,) that the rows had.
    Raises InputError for another name or a bad value.
    """

    id: ClassVar[str]
    points: ClassVar[Settings]  # defaults for rows of few columns
    images: ClassVar[Settings]  # and of many
    beta2: ClassVar[float] = 0.999

    def __init__(self, defaults: Settings | None = None, **settings: Any) -> None:
        self.config = with_settings(self.id, defaults or self.points, settings)
        self.params: Params = {}
        self.optimizers: dict[str, Optimizer] = {}
        self._steps = 1

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, by name."""
        return asdict(self.config)

    @property
    def batch(self) -> int:
        """Rows of one training step: a batch for each step of the discriminator."""
        return self.config.batch * self.config.d_steps

    def start(self, rows: Array) -> None:
        """Draw the weights that training on `rows` (N, D) begins with."""
        c = self.config
        rng = np.random.default_rng([c.seed, 0])
        g = init_mlp([c.latent, *[c.hidden] * c.g_layers, rows.shape[1]], rng, ACTIVATIONS[0])
        d = init_mlp([rows.shape[1], *[c.hidden] * c.d_layers, 1], rng, ACTIVATIONS[1])
        centre = rows.mean(axis=0, dtype=np.float64)
        scale = np.sqrt(((rows - centre) ** 2).mean()) or 1.0
        self.params = {f"generator.{name}": w for name, w in g.items()}
        self.params |= {f"discriminator.{name}": w for name, w in d.items()}
        self.params |= {"centre": centre.astype(np.float32), "scale": np.array([scale], np.float32)}
        self.optimizers = {who: Adam(c.lr, 0.5, self.beta2) for who in ("generator", "discriminator")}
        self._steps = c.epochs * math.ceil(len(rows) / self.batch)

    def train_step(self, rows: Array, rng: np.random.Generator, step: int) -> dict[str, float]:
        """Goodfellow et al. 2014, algorithm 1: some steps of the discriminator, one of the generator."""
        g, d = self._part("generator"), self._part("discriminator")
        for optimizer in self.optimizers.values():
            optimizer.lr = cosine_decay(step, self._steps, self.config.lr)

        def noise(n: int) -> Array:
            return rng.standard_normal((n, self.config.latent), dtype=np.float32)

        losses = []
        for start in range(0, len(rows), self.config.batch):
            real = (rows[start : start + self.config.batch] - self.params["centre"]) / self.params["scale"]
            fake = mlp_forward(noise(len(real)), g, ACTIVATIONS[0])[0]
            loss, d_grads = self._discriminator(d, real, fake, rng)
            self.optimizers["discriminator"].step(d, d_grads)
            self._after(d)
            losses.append(loss)
        g_loss, g_grads = self._generator(g, d, noise(self.config.batch))
        self.optimizers["generator"].step(g, g_grads)
        return {"loss": float(np.mean(losses)), "generator": g_loss}

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n rows (n, D) in the units of the data."""
        z = rng.standard_normal((n, self.config.latent), dtype=np.float32)
        x, _ = mlp_forward(z, self._part("generator"), ACTIVATIONS[0])
        return self.params["scale"] * x + self.params["centre"]

    def pictures(self, rows: Array, rng: np.random.Generator) -> dict[str, Array]:
        """Latent traversals: a straight line between two draws of noise a row, in 8 steps: (8, 8, D)."""
        ends = rng.standard_normal((2, 8, 1, self.config.latent), dtype=np.float32)
        t = np.linspace(0, 1, 8, dtype=np.float32)[:, None]
        z = ((1 - t) * ends[0] + t * ends[1]).reshape(64, -1)
        x, _ = mlp_forward(z, self._part("generator"), ACTIVATIONS[0])
        return {"traversals": (self.params["scale"] * x + self.params["centre"]).reshape(8, 8, -1)}

    def _part(self, player: str) -> Params:
        """The arrays of one player under their bare names: the same arrays, not copies."""
        prefix = f"{player}."
        return {name.removeprefix(prefix): w for name, w in self.params.items() if name.startswith(prefix)}

    @abstractmethod
    def _discriminator(
        self, d: Params, real: Array, fake: Array, rng: np.random.Generator
    ) -> tuple[float, Params]:
        """The loss and its gradients on one batch."""

    @abstractmethod
    def _generator(self, g: Params, d: Params, z: Array) -> tuple[float, Params]:
        """The loss and its gradients on one batch."""

    def _after(self, d: Params) -> None:  # noqa: B027 - for most nothing
        """What happens to the discriminator after its step."""


class GAN(Adversarial):
    """The first GAN: its discriminator tells probabilities."""

    id = "gan"
    points = GANSettings()
    images = GANSettings(latent=32, hidden=256, g_layers=2, lr=2e-4, batch=64, epochs=60, smooth=0.9)

    config: GANSettings

    def _discriminator(
        self, d: Params, real: Array, fake: Array, rng: np.random.Generator
    ) -> tuple[float, Params]:
        loss, cache = gan.discriminator_forward(d, real, fake, ACTIVATIONS[1], self.config.smooth)
        return loss, gan.discriminator_backward(1.0, cache)

    def _generator(self, g: Params, d: Params, z: Array) -> tuple[float, Params]:
        loss, cache = gan.generator_forward(g, d, z, self.config.loss, ACTIVATIONS)
        return loss, gan.generator_backward(1.0, cache)


class WGAN(Adversarial):
    """The Wasserstein GAN: with a gradient penalty, or with clipped weights where `penalty` is 0."""

    id = "wgan-gp"
    points = WGANSettings()
    images = WGANSettings(latent=32, hidden=256, d_layers=2, g_layers=2, lr=5e-4, epochs=60, penalty=10.0)
    beta2 = 0.9  # Gulrajani et al. 2017, algorithm 1

    config: WGANSettings

    def _discriminator(
        self, d: Params, real: Array, fake: Array, rng: np.random.Generator
    ) -> tuple[float, Params]:
        loss, cache = wgan.critic_forward(d, real, fake, ACTIVATIONS[1])
        grads = wgan.critic_backward(1.0, cache)
        if self.config.penalty:
            t = rng.random((len(real), 1), dtype=np.float32)
            penalty, penalty_cache = wgan.penalty_forward(d, real, fake, t, ACTIVATIONS[1])
            more = wgan.penalty_backward(self.config.penalty, penalty_cache)
            loss += self.config.penalty * penalty
            grads = {name: grads[name] + more[name] for name in grads}
        return loss, grads

    def _generator(self, g: Params, d: Params, z: Array) -> tuple[float, Params]:
        loss, cache = wgan.generator_forward(g, d, z, ACTIVATIONS)
        return loss, wgan.generator_backward(1.0, cache)

    def _after(self, d: Params) -> None:
        if not self.config.penalty:
            wgan.clip_weights(d, self.config.clip)
