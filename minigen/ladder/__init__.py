"""The ladder of recommenders, from counting upwards: every model by its id."""

from __future__ import annotations

from minigen.ladder.ials import IALS
from minigen.ladder.itemknn import ItemKNN
from minigen.ladder.spectral import Spectral
from minigen.recommender.base import Recommender
from minigen.recommender.baselines import EASE, Popularity
from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.seed_vae import SeedVAE

MODELS: dict[str, type[Recommender]] = {
    m.id: m for m in (Popularity, ItemKNN, EASE, IALS, Spectral, SeedVAE, MultVAE)
}

__all__ = ["IALS", "MODELS", "ItemKNN", "Spectral"]
