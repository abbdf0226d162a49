"""Mult-VAE on simulated shoppers, with a place for the slip in its loss and in every operation of it."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen import losses
from minigen.backends import NUMPY
from minigen.gradcheck.side_by_side.plant import exchanged, loss_and_gradients, second_copy
from minigen.gradcheck.side_by_side.scene import OWN_LOSS, Curve, Family, Figure, Scene
from minigen.gradcheck.slips import Mutant
from minigen.typing import Array, Params

if TYPE_CHECKING:
    from minigen.data import Split
    from minigen.recommender.trained import AutoencoderRecommender

METRIC = "ndcg@20"
USERS, ITEMS, HELD_OUT, EPOCHS = 2000, 400, 300, 40
SMALL = {"hidden": 64, "latent": 16, "batch": 100, "lr": 5e-3, "anneal_epochs": 5}
FIGURES = {
    METRIC: Figure("NDCG@20 of held-out users", +1, near=0.02),
    OWN_LOSS: Figure("its own loss in the last epoch, in nats", -1),
}


def _build(mutant: Mutant, planted: bool, seed: int, epochs: int | None) -> Scene:
    from minigen.evaluation.evaluate import evaluate

    split = shoppers()
    settings: dict[str, Any] = SMALL | {"seed": seed, "epochs": epochs or EPOCHS}
    if mutant.quantity in ("relu", "leaky-relu", "softplus"):
        settings["activation"] = mutant.quantity
    if mutant.quantity == "bernoulli-nll":
        settings["likelihood"] = "bernoulli"
    model = planted_mult_vae(mutant if planted else None, settings, mutant.quantity == "dropout")
    scores: list[float] = []

    def score() -> float:
        return evaluate(model, split.test, (METRIC,)).mean(METRIC)

    return Scene(
        model, split.train, model.config.epochs, model.config.batch, seed, lambda: {METRIC: score()},
        lambda: Curve(scores, "NDCG@20 of held-out users"), lambda: scores.append(score()),
    )  # fmt: skip


@cache
def shoppers() -> Split:
    """Whole users held out, of a simulation that is always the same."""
    from minigen import data
    from minigen.data.simulate import simulate

    events, _ = simulate(USERS, ITEMS, seed=0)
    return data.strong_split(data.to_interactions(events), HELD_OUT, HELD_OUT, seed=0)


def planted_mult_vae(
    slip: Mutant | None, settings: dict[str, Any], hidden_dropout: bool = False
) -> AutoencoderRecommender:
    """The Mult-VAE with a slip, or without, in its loss or in an operation of it.

    The slips of dropout get dropout on hidden units too: that on the clicks has no use for a backward pass.
    """
    from minigen.recommender import MultVAE, autoencoder

    planted = second_copy(autoencoder, losses=exchanged(losses, slip))

    class PlantedMultVAE(MultVAE):
        def train_step(self, rows: Any, rng: np.random.Generator, step: int) -> dict[str, float]:
            self._rng = rng
            return super().train_step(rows, rng, step)

        def _gradients(
            self, params: Params, x: Any, mask: Any, eps: Array, beta: float
        ) -> tuple[Any, Params]:
            form = self.config.form
            ops = _with_hidden_dropout(self.ops, self._rng, form.keep) if hidden_dropout else self.ops
            terms: list[Any] = []

            def forward(params: Params) -> tuple[float, Any]:
                found, cache = planted.forward(params, x, form, mask, eps, beta, ops=ops)
                terms.append(found)
                return found.loss, cache

            def backward(d_loss: float, cache: Any) -> Params:
                grads = planted.backward(cache, form, beta, ops=ops)
                return {name: d_loss * grad for name, grad in grads.items()}

            loss, grads = loss_and_gradients(slip, "mult-vae", params, forward, backward)
            return SimpleNamespace(loss=loss, nll=terms[-1].nll, kl=terms[-1].kl), grads

    model = PlantedMultVAE(**settings)
    model.ops = exchanged(NUMPY, slip)
    return model


def _with_hidden_dropout(ops: Any, rng: np.random.Generator, keep: float) -> Any:
    """Operations in which tanh is followed by dropout."""

    def forward(x: Array) -> tuple[Array, Any]:
        y, tanh = ops.tanh_forward(x)
        y, dropout = ops.dropout_forward(y, ops.dropout_mask(y.shape, keep, rng), keep)
        return y, (tanh, dropout)

    def backward(d_y: Array, cache: Any) -> Array:
        tanh, dropout = cache
        return ops.tanh_backward(ops.dropout_backward(d_y, dropout), tanh)

    return SimpleNamespace(**(vars(ops) | {"tanh_forward": forward, "tanh_backward": backward}))


MULT_VAE_ON_CLICKS = Family("Mult-VAE on simulated shoppers", _build, FIGURES)
WITH_DROPOUT = Family("Mult-VAE on simulated shoppers, dropout on hidden units too", _build, FIGURES)
