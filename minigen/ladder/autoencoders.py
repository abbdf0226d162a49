"""The rungs up to Mult-VAE: each changes one thing of the one before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.settings import Settings
from minigen.recommender.trained import AutoencoderRecommender

_SIZES = {name: MultVAE.search[name] for name in ("hidden", "latent", "lr")}
_DROPOUT = {"dropout": MultVAE.search["dropout"]}


class AE(AutoencoderRecommender):
    """A plain autoencoder: M-600-200-600-M, tanh, a click a bit, and what goes in must come out.

    Takes the fields of `Settings` as keyword arguments, like every class here.
    """

    id: ClassVar[str] = "ae"
    defaults: ClassVar[Settings] = replace(
        MultVAE.defaults, likelihood="bernoulli", dropout=0.0, stochastic=False, beta=0.0, anneal_epochs=0
    )
    search: ClassVar[dict[str, tuple[Any, ...]]] = _SIZES


class DAE(AutoencoderRecommender):
    """An autoencoder that must give back the clicks that dropout took (Vincent et al. 2008)."""

    id: ClassVar[str] = "dae"
    defaults: ClassVar[Settings] = replace(AE.defaults, dropout=0.5)
    search: ClassVar[dict[str, tuple[Any, ...]]] = _SIZES | _DROPOUT


class MultDAE(AutoencoderRecommender):
    """Items compete for the clicks: multinomial likelihood, and a penalty on the weights.

    Liang et al. 2018 take M-200-M and, in their code, lambda = .01 / 500 for the mean over a batch of 500;
    it multiplies the sum of squares itself, not half of it.
    """

    id: ClassVar[str] = "mult-dae"
    defaults: ClassVar[Settings] = replace(DAE.defaults, likelihood="multinomial", l2=0.01 / 500)
    search: ClassVar[dict[str, tuple[Any, ...]]] = _SIZES | _DROPOUT | {"l2": (2e-6, 2e-5, 2e-4)}


class BetaVAE(AutoencoderRecommender):
    """The code is drawn, and a KL term of constant weight beta takes the penalty's place.

    Higgins et al. 2017; with beta = 1 the loss is the negative ELBO.  Mult-VAE lets beta grow up to its cap.
    """

    id: ClassVar[str] = "beta-vae"
    defaults: ClassVar[Settings] = replace(MultDAE.defaults, stochastic=True, l2=0.0, beta=0.2)
    search: ClassVar[dict[str, tuple[Any, ...]]] = MultVAE.search
