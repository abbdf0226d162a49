"""The classic slips: wrong passes of right operations, as they stand in published code."""

from minigen.gradcheck.slips import gan, latent, layers, losses, models, vae
from minigen.gradcheck.slips.registry import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "gan", "latent", "layers", "losses", "models", "vae"]
