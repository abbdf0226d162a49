"""The classic slips: wrong passes of right operations, as they stand in published code."""

from minigen.gradcheck.slips import (
    behaviours,
    cfgan,
    features,
    gan,
    latent,
    layers,
    losses,
    models,
    recvae,
    sampled,
    vae,
)
from minigen.gradcheck.slips.registry import MUTANTS, Mutant

__all__ = [
    "MUTANTS",
    "Mutant",
    "behaviours",
    "cfgan",
    "features",
    "gan",
    "latent",
    "layers",
    "losses",
    "models",
    "recvae",
    "sampled",
    "vae",
]
