"""VAE and IWAE as models with settings: what the training loop trains, and what draws pictures afterwards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from minigen import iwae, vae
from minigen.collapse import kl_per_dimension
from minigen.errors import InputError
from minigen.mlp import ACTIVATIONS
from minigen.optimizers import Adam, Optimizer
from minigen.schedules import cosine_decay
from minigen.training.settings import with_settings
from minigen.typing import Array, Params
from minigen.vae import Form

COLUMNS = 8  # of a grid of pictures
SHARP = -4.0  # log-variance of x that training begins with: at 0 a code is not worth its KL, and collapses
FAR = 2.5  # standard deviations of the prior that a traversal goes


@dataclass(frozen=True)
class Settings:
    """Sizes and optimiser; `likelihood` bernoulli draws bits from greys each time, gaussian takes all."""

    latent: int = 2
    hidden: int = 64
    layers: int = 2  # hidden ones, each way
    activation: str = "tanh"
    likelihood: str = "gaussian"
    lr: float = 2e-3  # falls to 0 along half a cosine
    batch: int = 100
    epochs: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latent", "hidden", "layers", "batch", "epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: want at least 1, got {getattr(self, name)}")
        for name, known in (("activation", tuple(ACTIVATIONS)), ("likelihood", vae.LIKELIHOODS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: want {', '.join(known)}, got {getattr(self, name)}")
        if not 0 < self.lr < math.inf:
            raise InputError(f"lr: want a number above 0, got {self.lr}")
        if self.seed < 0:
            raise InputError(f"seed: want at least 0, got {self.seed}")


@dataclass(frozen=True)
class VAESettings(Settings):
    """`beta`: the weight of the KL."""

    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < math.inf:
            raise InputError(f"beta: want at least 0, got {self.beta}")


@dataclass(frozen=True)
class IWAESettings(Settings):
    """`k`: samples in the bound."""

    k: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise InputError(f"k: want at least 1, got {self.k}")


class Variational(ABC):
    """An encoder and a decoder over rows.  Keyword arguments are the fields of its settings.

    Arrays: encoder.*, decoder.*, and the centre (D,) and scale (1,) that the rows had: 0 and 1 for bits.
    Raises InputError for another name or a bad value.
    """

    id: ClassVar[str]
    points: ClassVar[Settings]  # defaults for rows of few columns
    images: ClassVar[Settings]  # and of many

    def __init__(self, defaults: Settings | None = None, **settings: Any) -> None:
        self.config = with_settings(self.id, defaults or self.points, settings)
        self.form = Form(self.config.activation, self.config.likelihood)
        self.params: Params = {}
        self.optimizers: dict[str, Optimizer] = {}
        self._steps = 1

    @property
    def settings(self) -> dict[str, Any]:
        """All settings, by name."""
        return asdict(self.config)

    @property
    def batch(self) -> int:
        """Rows of one training step."""
        return self.config.batch

    def start(self, rows: Array) -> None:
        """Draw the weights that training on `rows` (N, D) begins with.

        Raises InputError for rows outside [0, 1] where they are to be bits.
        """
        c = self.config
        bits = c.likelihood == "bernoulli"
        if bits and not (rows.min() >= 0 and rows.max() <= 1):
            raise InputError("likelihood bernoulli: want rows in [0, 1]; --set likelihood=gaussian takes any")
        sizes = (rows.shape[1], *[c.hidden] * c.layers, c.latent)
        centre = 0 * rows[0] if bits else rows.mean(axis=0, dtype=np.float64)
        scale = 1.0 if bits else np.sqrt(((rows - centre) ** 2).mean()) or 1.0
        self.params = vae.init_params(sizes, np.random.default_rng([c.seed, 0]), self.form)
        if not bits:
            self.params["decoder.log_var"][:] = SHARP
        self.params |= {"centre": centre.astype(np.float32), "scale": np.array([scale], np.float32)}
        self.optimizers = {"adam": Adam(c.lr)}
        self._steps = c.epochs * math.ceil(len(rows) / c.batch)

    def train_step(self, rows: Array, rng: np.random.Generator, step: int) -> dict[str, float]:
        """One step of Adam against the gradient of minus the bound."""
        (adam,) = self.optimizers.values()
        adam.lr = cosine_decay(step, self._steps, self.config.lr)
        if self.form.likelihood == "bernoulli":
            x = (rng.random(rows.shape, dtype=np.float32) < rows).astype(np.float32)
        else:
            x = self._standard(rows)
        logged, grads = self._bound(x, rng)
        adam.step({name: self.params[name] for name in grads}, grads)
        return logged

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n rows (n, D) in the units of the data; of bits, their probabilities."""
        mean = vae.mean_of_x(self._model(), self._noise(rng, n), self.form)
        if self.form.likelihood == "gaussian":
            std = np.exp(self.params["decoder.log_var"] / 2)
            mean = mean + std * rng.standard_normal(mean.shape, dtype=np.float32)
        return self._units(mean)

    def reconstruct(self, rows: Array) -> Array:
        """What the mean code of each row (N, D) stands for, (N, D)."""
        mu, _, _ = vae.encode(self._model(), self._standard(rows), self.form)
        return self._units(vae.mean_of_x(self._model(), mu, self.form))

    def traverse(self, row: Array, rows: Array) -> Array:
        """Pictures (R, 8, D) around the code of `row`: a line for each of the 8 dimensions that carry most.

        Along it that dimension goes from -2.5 to 2.5, and the others stay; `rows` say what carries.
        """
        mu, log_var, _ = vae.encode(self._model(), self._standard(rows), self.form)
        used = np.argsort(-kl_per_dimension(mu, log_var), kind="stable")[:COLUMNS]
        code, _, _ = vae.encode(self._model(), self._standard(row[None]), self.form)
        z = np.tile(code, (len(used), COLUMNS, 1))
        for line, dimension in zip(z, used):
            line[:, dimension] = np.linspace(-FAR, FAR, COLUMNS)
        x = vae.mean_of_x(self._model(), z.reshape(-1, z.shape[2]), self.form)
        return self._units(x).reshape(*z.shape[:2], -1)

    def pictures(self, rows: Array, rng: np.random.Generator) -> dict[str, Array]:
        """Reconstructions, a line of rows over a line of theirs, and latent traversals: grids (R, 8, D)."""
        n = min(len(rows), 4 * COLUMNS) // COLUMNS
        shown = rows[rng.choice(len(rows), n * COLUMNS, replace=False)]
        pairs = np.stack(
            [part.reshape(n, COLUMNS, rows.shape[1]) for part in (shown, self.reconstruct(shown))], axis=1
        )
        grids = {"reconstructions": pairs.reshape(2 * n, COLUMNS, rows.shape[1])} if n else {}
        return grids | {"traversals": self.traverse(rows[rng.integers(len(rows))], rows)}

    @abstractmethod
    def _bound(self, x: Array, rng: np.random.Generator) -> tuple[dict[str, float], Params]:
        """The loss and its gradients on one batch."""

    def _model(self) -> Params:
        return {name: w for name, w in self.params.items() if name not in ("centre", "scale")}

    def _noise(self, rng: np.random.Generator, *shape: int) -> Array:
        return rng.standard_normal((*shape, self.config.latent), dtype=np.float32)

    def _standard(self, rows: Array) -> Array:
        return (rows - self.params["centre"]) / self.params["scale"]

    def _units(self, x: Array) -> Array:
        return self.params["scale"] * x + self.params["centre"]


class VAE(Variational):
    """The variational autoencoder, its KL weighed by `beta`."""

    id = "vae"
    points = VAESettings()
    images = VAESettings(latent=20, hidden=256, likelihood="bernoulli", lr=1e-3, epochs=30)

    config: VAESettings

    def _bound(self, x: Array, rng: np.random.Generator) -> tuple[dict[str, float], Params]:
        noise = self._noise(rng, len(x))
        terms, cache = vae.elbo_forward(self._model(), x, noise, self.form, self.config.beta)
        return terms._asdict(), vae.elbo_backward(1.0, cache)


class IWAE(Variational):
    """The importance-weighted autoencoder with `k` samples."""

    id = "iwae"
    points = IWAESettings()
    images = IWAESettings(latent=20, hidden=256, likelihood="bernoulli", lr=1e-3, epochs=15)

    config: IWAESettings

    def _bound(self, x: Array, rng: np.random.Generator) -> tuple[dict[str, float], Params]:
        noise = self._noise(rng, len(x), self.config.k)
        loss, cache = iwae.iwae_forward(self._model(), x, noise, self.form)
        return {"loss": loss}, iwae.iwae_backward(1.0, cache)
