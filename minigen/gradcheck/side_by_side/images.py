"""VAE and IWAE on small pictures of clothes, with a place for the slip in the bound and in its operations."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen import iwae, losses, ops, vae
from minigen.diagnose import mmd
from minigen.errors import InputError
from minigen.gradcheck.side_by_side.plant import exchanged, loss_and_gradients, second_copy
from minigen.gradcheck.side_by_side.scene import OWN_LOSS, Family, Figure, Images, Scene
from minigen.gradcheck.slips import Mutant
from minigen.typing import Array, Params
from minigen.vae_training import COLUMNS, IWAE, VAE, Variational

if TYPE_CHECKING:
    from minigen.data.vectors import Vectors

N_MEASURED, N_ESTIMATED, SAMPLES = 1000, 200, 100
SMALL = {"hidden": 200, "layers": 2, "latent": 8, "lr": 2e-3}
LOG_VAR = -1.5  # of x, about what it comes to: a short training does not move it that far
EPOCHS = {"vae": 8, "iwae": 3}
FIGURES = {
    "reconstruction": Figure("root mean square error of reconstructed pixels", -1, near=0.015),
    "mmd": Figure("MMD of samples and held-out pictures", -1, near=0.05),
    "nll_nats": Figure("true -log p(x) of held-out pictures, estimated, in nats", -1),
    OWN_LOSS: Figure("its own loss in the last epoch, in nats", -1),
}
GAUSSIAN = ("gaussian-log-prob", "vae-gaussian", "iwae-gaussian")
# At the usual weight of 1 a weight that is forgotten does not show.
SETTINGS = {"vae-bernoulli-kl-weight-once": {"beta": 4.0}}


class _Planted(Variational):
    """A model of pictures with a place for a slip."""

    def __init__(self, slip: Mutant | None, **settings: Any) -> None:
        super().__init__(self.images, **settings)
        self.slip = slip

    def start(self, rows: Array) -> None:
        super().start(rows)
        if self.form.likelihood == "gaussian":
            self.params["decoder.log_var"][:] = LOG_VAR


class PlantedVAE(_Planted, VAE):
    """The VAE with a slip, or without, in its bound or in an operation of it."""

    def __init__(self, slip: Mutant | None, **settings: Any) -> None:
        super().__init__(slip, **settings)
        self._vae = second_copy(vae, ops=exchanged(ops, slip), losses=exchanged(losses, slip))

    def _bound(self, x: Array, rng: np.random.Generator) -> tuple[dict[str, float], Params]:
        noise = self._noise(rng, len(x))

        def forward(params: Params) -> tuple[float, Any]:
            terms, cache = self._vae.elbo_forward(params, x, noise, self.form, self.config.beta)
            return terms.loss, cache

        name = f"vae-{self.form.likelihood}"
        loss, grads = loss_and_gradients(self.slip, name, self._model(), forward, self._vae.elbo_backward)
        return {"loss": loss}, grads


class PlantedIWAE(_Planted, IWAE):
    """The IWAE with a slip, or without, in its bound."""

    def _bound(self, x: Array, rng: np.random.Generator) -> tuple[dict[str, float], Params]:
        noise = self._noise(rng, len(x), self.config.k)

        def forward(params: Params) -> tuple[float, Any]:
            return iwae.iwae_forward(params, x, noise, self.form)

        name = f"iwae-{self.form.likelihood}"
        loss, grads = loss_and_gradients(self.slip, name, self._model(), forward, iwae.iwae_backward)
        return {"loss": loss}, grads


def _build(mutant: Mutant, planted: bool, seed: int, epochs: int | None) -> Scene:
    kind = PlantedIWAE if mutant.quantity.startswith("iwae-") else PlantedVAE
    settings: dict[str, Any] = SMALL | {"seed": seed, "epochs": epochs or EPOCHS[kind.id]}
    settings |= {"likelihood": "gaussian" if mutant.quantity in GAUSSIAN else "bernoulli"}
    settings |= SETTINGS.get(mutant.name, {})
    model = kind(mutant if planted else None, **settings)
    data = pieces_of_clothing()
    assert data.shape is not None
    test, shape = data.test[:N_MEASURED], data.shape

    def noise() -> np.random.Generator:
        return np.random.default_rng([seed, 3])

    def measure() -> dict[str, float]:
        x = test if model.form.likelihood == "gaussian" else _bits(test, noise())
        figures = {
            "reconstruction": float(np.sqrt(((model.reconstruct(test) - test) ** 2).mean())),
            "mmd": mmd(model.sample(N_MEASURED, noise()), test),
        }
        rows = model._standard(x[:N_ESTIMATED])
        with suppress(InputError):  # a code that a slip left without variance has no density
            nll = iwae.nll_estimate(model._model(), rows, model.form, noise(), SAMPLES)
            figures["nll_nats"] = float(nll.mean())
        return figures

    def picture() -> Images:
        shown = test[:COLUMNS]
        samples = model.sample(4 * COLUMNS, noise()).reshape(4, COLUMNS, -1)
        lines = np.concatenate([shown[None], model.reconstruct(shown)[None], samples])
        return Images(lines, shape, ("held out", "reconstructed", *["drawn"] * 4))

    return Scene(model, data.train, model.config.epochs, model.batch, seed, measure, picture)


@cache
def pieces_of_clothing() -> Vectors:
    """The embedded pictures."""
    from minigen.data.images import load_images

    return load_images("fashion-mnist")


def _bits(rows: Array, rng: np.random.Generator) -> Array:
    return (rng.random(rows.shape, dtype=np.float32) < rows).astype(np.float32)


VAE_ON_CLOTHES = Family("VAE on Fashion-MNIST", _build, FIGURES)
IWAE_ON_CLOTHES = Family("IWAE on Fashion-MNIST", _build, FIGURES)
