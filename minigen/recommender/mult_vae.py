"""Mult-VAE: the variational autoencoder for collaborative filtering."""

from __future__ import annotations

from typing import ClassVar

from minigen.recommender.trained import AutoencoderRecommender, Settings


class MultVAE(AutoencoderRecommender):
    """Mult-VAE (Liang et al. 2018): M-600-200-600-M, tanh, multinomial likelihood, dropout .5, annealed beta.

    Takes the fields of `Settings` as keyword arguments.
    """

    id: ClassVar[str] = "mult-vae"
    defaults: ClassVar[Settings] = Settings()
