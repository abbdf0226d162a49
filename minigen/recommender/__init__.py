"""The recommenders: fit on sparse rows, recommend to anybody with a history."""

from minigen.recommender.base import Recommender
from minigen.recommender.baselines import EASE, Popularity
from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.seed_vae import SeedVAE
from minigen.recommender.trained import AutoencoderRecommender

__all__ = ["EASE", "AutoencoderRecommender", "MultVAE", "Popularity", "Recommender", "SeedVAE"]
