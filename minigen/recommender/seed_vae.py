"""The seed of the example: the plainest variational autoencoder that recommends."""

from __future__ import annotations

from typing import Any, ClassVar

from minigen.recommender.settings import Settings
from minigen.recommender.trained import AutoencoderRecommender


class SeedVAE(AutoencoderRecommender):
    """One hidden ReLU layer on each side, bits as data, noise through the code, plain SGD.

    What Mult-VAE changes one by one: the likelihood, dropout, the weight of the KL term, the optimiser.
    Takes the fields of `Settings` as keyword arguments.
    """

    id: ClassVar[str] = "seed-vae"
    defaults: ClassVar[Settings] = Settings(
        hidden=200,
        latent=50,
        activation="relu",
        likelihood="bernoulli",
        normalise=False,
        dropout=0.0,
        beta=1.0,
        anneal_epochs=0,
        optimizer="sgd",
        lr=0.003,
        batch=100,
    )
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hidden": (100, 200, 400),
        "latent": (20, 50, 100),
        "beta": (0.2, 0.5, 1.0),
        "lr": (1e-3, 3e-3, 1e-2),
    }
