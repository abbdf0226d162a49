"""Mult-VAE: the variational autoencoder for collaborative filtering."""

from __future__ import annotations

from typing import Any, ClassVar

from minigen.recommender.settings import Settings
from minigen.recommender.trained import AutoencoderRecommender


class MultVAE(AutoencoderRecommender):
    """Mult-VAE (Liang et al. 2018): M-600-200-600-M, tanh, multinomial likelihood, dropout .5, annealed beta.

    Takes the fields of `Settings` as keyword arguments.
    """

    id: ClassVar[str] = "mult-vae"
    defaults: ClassVar[Settings] = Settings()
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hidden": (200, 400, 600),
        "latent": (50, 100, 200),
        "dropout": (0.3, 0.5, 0.7),
        "beta": (0.05, 0.1, 0.2, 0.5, 1.0),
        "lr": (3e-4, 1e-3, 3e-3),
    }
