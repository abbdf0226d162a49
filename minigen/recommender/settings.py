"""What may be set in an autoencoder of sparse rows, and what is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass

from minigen import backends
from minigen.errors import InputError
from minigen.mlp import ACTIVATIONS
from minigen.optimizers import make_optimizer
from minigen.recommender.autoencoder import LIKELIHOODS, Form

LR_SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Settings:
    """Sizes, graph, objective and optimiser of an autoencoder of sparse rows."""

    hidden: int = 600  # 0: no hidden layers, codes and logits are linear in the clicks
    latent: int = 200
    activation: str = "tanh"
    likelihood: str = "multinomial"
    normalise: bool = True
    dropout: float = 0.5  # probability that a click is dropped
    stochastic: bool = True  # the code is drawn from its posterior; else it is the posterior's mean
    l2: float = 0.0  # weight in the loss of the sum of all squared weights, biases not among them
    beta: float = 0.2  # cap of the KL weight
    anneal_epochs: float = 20  # epochs until the KL weight reaches its cap
    optimizer: str = "adam"
    lr: float = 1e-3
    negatives: int = 0  # items drawn at each step for the softmax, see `Proposal`; 0: all items, always
    lr_schedule: str = "constant"  # or cosine: lr falls to 0 along half a cosine, over all epochs
    momentum: float = 0.0  # of sgd
    batch: int = 500
    epochs: int = 100
    patience: int = 10  # epochs without a better validation score; 0: never stop early
    seed: int = 0
    backend: str = "numpy"  # whose operations train and serve

    def __post_init__(self) -> None:
        for name in ("latent", "batch", "epochs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: want at least 1, got {getattr(self, name)}")
        for name in ("hidden", "l2", "beta", "anneal_epochs", "patience", "negatives", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name}: want a number of at least 0, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout: want at least 0 and below 1, got {self.dropout}")
        for name, known in (
            ("activation", ACTIVATIONS),
            ("likelihood", LIKELIHOODS),
            ("lr_schedule", LR_SCHEDULES),
            ("backend", backends.BACKENDS),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: want {' or '.join(known)}, got {getattr(self, name)}")
        plain = (self.likelihood, self.optimizer, self.l2) == ("multinomial", "adam", 0)
        if self.backend == "cuda" and not plain:
            raise InputError("backend: cuda has the multinomial likelihood and adam, no others, and no l2")
        if self.negatives and (self.backend == "cuda" or not plain):
            raise InputError(
                "negatives: want the multinomial likelihood and adam, no l2, and the backend numpy or numba"
            )
        try:
            make_optimizer(self.optimizer, self.lr, self.momentum)
        except ValueError as error:
            raise InputError(str(error)) from None

    @property
    def form(self) -> Form:
        """The choices that change the loss."""
        return Form(
            self.activation, self.likelihood, self.normalise, 1 - self.dropout, self.stochastic, self.l2
        )
