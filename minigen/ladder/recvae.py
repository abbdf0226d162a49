"""RecVAE: an encoder and a decoder that take turns, and a prior that remembers the posterior of before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.ladder import recvae_model
from minigen.ladder.recvae_model import DECODER, Form
from minigen.ops import dropout_mask
from minigen.ops.composite_prior.numpy_composite_prior import SHARES
from minigen.optimizers import Adam
from minigen.recommender.base import canonical, want_arrays
from minigen.recommender.settings import LR_SCHEDULES
from minigen.recommender.trained import AutoencoderRecommender
from minigen.schedules import cosine_decay
from minigen.typing import Array, Params

BACKENDS = ("numpy", "numba")


@dataclass(frozen=True)
class Settings:
    """Sizes, prior, turns and optimiser of RecVAE."""

    hidden: int = 600
    latent: int = 200
    layers: int = 5  # of the encoder; 0: codes are linear in the clicks
    dropout: float = 0.5  # probability that a click is dropped, in the encoder's turn
    decoder_dropout: float = 0.0  # the same in the decoder's turn; the authors have none there
    gamma: float = 0.005  # KL weight of a history, for each of its clicks
    beta: float = 0.0  # above 0: the KL weight of every history, in the place of gamma's; for comparisons
    old_share: float = SHARES[1]  # of the posterior of the last round in the prior
    broad_share: float = SHARES[2]  # of N(0, e^10) in the prior; N(0, 1) has the rest
    encoder_epochs: float = 3.0  # in a round: so many with dropout for the encoder,
    decoder_epochs: float = 1.0  # then so many without for the decoder; below 1, a share of a pass
    lr: float = 5e-4
    lr_schedule: str = "constant"  # or cosine: lr falls to 0 along half a cosine, over all epochs
    batch: int = 500
    epochs: int = 200  # of both players together: 50 rounds of 3 + 1
    patience: int = 12  # epochs without a better validation score; 0: never stop early
    seed: int = 0
    backend: str = "numpy"  # whose operations train and serve

    def __post_init__(self) -> None:
        least_1 = ("hidden", "latent", "batch", "epochs")
        for least, names in ((1, least_1), (0, ("layers", "gamma", "beta", "patience", "seed"))):
            for name in names:
                if not least <= getattr(self, name) < math.inf:
                    raise InputError(f"{name}: want a number of at least {least}, got {getattr(self, name)}")
        for name in ("dropout", "decoder_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}: want at least 0 and below 1, got {getattr(self, name)}")
        if not (min(self.old_share, self.broad_share) >= 0 and self.old_share + self.broad_share <= 1):
            raise InputError(
                "old_share and broad_share: want shares of at least 0, together at most 1, "
                f"got {self.old_share} and {self.broad_share}"
            )
        for name in ("encoder_epochs", "decoder_epochs", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name}: want a number above 0, got {getattr(self, name)}")
        for name, known in (("lr_schedule", LR_SCHEDULES), ("backend", BACKENDS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: want {' or '.join(known)}, got {getattr(self, name)}")

    @property
    def form(self) -> Form:
        """What the objective is made of."""
        standard = max(0.0, 1 - self.old_share - self.broad_share)
        return Form(1 - self.dropout, self.gamma, (standard, self.old_share, self.broad_share), self.beta)


class EncoderAdam(Adam):
    """Adam over the encoder, which also holds the encoder as it was when its turn began.

    So the old posterior is in every checkpoint, and in no finished run: serving has no need of it.
    """

    old: Params

    def remember(self, params: Params) -> None:
        """Copy the encoder: from now on it is the old one."""
        self.old = {name: array.copy() for name, array in params.items()}

    def arrays(self) -> Params:
        """What Adam remembers, and the old encoder."""
        return super().arrays() | {f"old.{name}": array for name, array in self.old.items()}

    def restore(self, arrays: Params) -> None:
        """Go on from `arrays()` of an earlier run."""
        super().restore(arrays)
        self.old = {n.removeprefix("old."): array for n, array in arrays.items() if n.startswith("old.")}


class RecVAE(AutoencoderRecommender):
    """RecVAE (Shenbin et al. 2020): M-600x5-200-M, composite prior, KL weight by user, players in turn.

    Takes the fields of `Settings` as keyword arguments.  An epoch of training is one player's pass over the
    rows, so that validation sees each: `epochs` and `patience` count passes.
    """

    id: ClassVar[str] = "recvae"
    defaults: ClassVar[Any] = Settings()
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hidden": (200, 400, 600),
        "latent": (50, 100, 200),
        "dropout": (0.3, 0.5, 0.7),
        "gamma": (0.001, 0.0025, 0.005, 0.01, 0.02),
        "lr": (2.5e-4, 5e-4, 1e-3),
    }
    config: Any  # its own `Settings`

    def start(self, rows: csr_matrix) -> None:
        """Draw the weights that training on `rows` (U, M) begins with."""
        config, n_items = self.config, rows.shape[1]
        rng = np.random.default_rng([config.seed, 0])
        self._steps_per_epoch = math.ceil(rows.shape[0] / config.batch)
        self.params = recvae_model.init_params(n_items, config.hidden, config.latent, config.layers, rng)
        self.optimizers = {
            "encoder": EncoderAdam(config.lr, ops=self.ops),
            "decoder": Adam(config.lr, ops=self.ops),
        }

    def train_step(self, rows: csr_matrix, rng: np.random.Generator, step: int) -> dict[str, float]:
        """One step of the player whose turn it is.   [eq:recvae-turns]"""
        config, form, ops = self.config, self.config.form, self.ops
        turn, rest = (
            max(1, round(epochs * self._steps_per_epoch))
            for epochs in (config.encoder_epochs, config.decoder_epochs)
        )
        place = step % (turn + rest)
        adam: Any = self.optimizers["encoder"]
        player: Any = adam if place < turn else self.optimizers["decoder"]
        if config.lr_schedule == "cosine":
            player.lr = cosine_decay(step, config.epochs * self._steps_per_epoch, config.lr)
        if place == 0:
            adam.remember(self._encoder())
        old = adam.old if place < turn else None
        if place >= turn:
            form = form._replace(keep=1 - config.decoder_dropout)
        mask = dropout_mask(rows.nnz, form.keep, rng) if form.keep < 1 else None
        eps = rng.standard_normal((rows.shape[0], config.latent), dtype=np.float32)
        terms, cache = recvae_model.forward(self.params, old, rows, form, mask, eps, self._buffers, ops)
        if place < turn:
            player.step(self._encoder(), recvae_model.encoder_gradients(cache, self._buffers, ops))
        else:
            decoder = {name: self.params[name] for name in DECODER}
            gradients = recvae_model.decoder_gradients(cache, self._buffers, ops)
            player.step(decoder, gradients)
        return {"loss": terms.loss, "nll": terms.nll, "kl": terms.kl}

    def posterior(self, histories: csr_matrix) -> tuple[Array, Array]:
        """Mean and log-variance of the codes of histories, each (B, Z)."""
        mu, log_var, _ = recvae_model.encode(self.params, canonical(histories), ops=self.ops)
        return mu, log_var

    def decode(self, codes: Array) -> Array:
        """Logits (B, M) of codes (B, Z)."""
        logits: Array = self.ops.dense_forward(codes, *(self.params[n] for n in DECODER))[0]
        return logits

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d <scores, d_scores> / d x at the clicks, through decoder and encoder at the posterior mean."""
        _, _, caches = recvae_model.encode(self.params, histories, ops=self.ops)
        return recvae_model.clicks_backward(d_scores, self.params["w_out"], caches, self.ops)

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where names or shapes are not this model's."""
        n_items, config = arrays["b_out"].shape[0], self.config
        wanted = recvae_model.shapes(n_items, config.hidden, config.latent, config.layers)
        want_arrays(arrays, wanted)
        self.params = arrays

    def _encoder(self) -> Params:
        return {name: array for name, array in self.params.items() if name not in DECODER}
