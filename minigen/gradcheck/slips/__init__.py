"""The classic slips: wrong passes of right operations, as they stand in published code."""

from minigen.gradcheck.slips import latent, layers, losses, models
from minigen.gradcheck.slips.registry import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "latent", "layers", "losses", "models"]
