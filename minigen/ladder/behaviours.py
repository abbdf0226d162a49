"""Several behaviours in one model: each is a channel of the input, and a head of the decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from minigen.data.interactions import HeldOut
from minigen.errors import InputError
from minigen.ladder import behaviours_model as model
from minigen.ladder.behaviours_model import Channels
from minigen.ladder.blocks import best_gains, hide_touched, lift, lift_backward
from minigen.optimizers import make_optimizer
from minigen.recommender import autoencoder, settings
from minigen.recommender.base import canonical, want_arrays
from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.trained import AutoencoderRecommender
from minigen.typing import Array, Params

BACKENDS = ("numpy", "numba")
_SCORES = 2**23  # of validation people at a time


@dataclass(frozen=True)
class Settings(settings.Settings):
    """Those of the autoencoder, the behaviours, and the weights of their heads."""

    behaviours: str = ""  # NAME,NAME,...: the blocks of columns; the last is the one to be recommended
    fresh: bool = False  # recommend only what a history has not touched in any way
    weights: str = ""  # of their heads, 0 for none: 0.1,0.3,1; not given: such that all heads cost the same
    gains: str = ""  # of what was touched by each but the last: 1,2.5; not given: chosen on validation people

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, only in (("likelihood", "multinomial"), ("normalise", True), ("l2", 0.0), ("negatives", 0)):
            if getattr(self, name) != only:
                raise InputError(f"{name}: this model has {only} alone, got {getattr(self, name)}")
        if self.backend not in BACKENDS:
            raise InputError(f"backend: want {' or '.join(BACKENDS)}, got {self.backend}")
        names, weights = self.channels.behaviours, self.channels.weights
        if len(set(names)) < len(names) or (len(names) > 1 and not all(names)):
            raise InputError(f"behaviours: want different names, got {self.behaviours!r}")
        if weights and not (
            len(weights) == len(names) and all(0 <= w < math.inf for w in weights) and weights[-1] > 0
        ):
            raise InputError(
                f"weights: want {len(names)} of at least 0, the last above it, got {self.weights!r}"
            )
        gains, n_gains = self.given_gains, 0 if self.fresh else len(names) - 1
        if gains and not (len(gains) == n_gains and all(map(math.isfinite, gains))):
            raise InputError(f"gains: want {n_gains} numbers here, got {self.gains!r}")

    @property
    def channels(self) -> Channels:
        """What the model is made of: all that changes the loss."""
        body = self.form._replace(normalise=False)  # block by block, before the body sees them
        return Channels(body, tuple(self.behaviours.split(",")), self._numbers("weights"))

    @property
    def given_gains(self) -> tuple[float, ...]:
        """The gains as numbers; () where validation people are to choose them."""
        return self._numbers("gains")

    def _numbers(self, name: str) -> tuple[float, ...]:
        text = getattr(self, name)
        try:
            return tuple(map(float, text.split(","))) if text else ()
        except ValueError:
            raise InputError(f"{name}: want numbers, got {text!r}") from None


class BehaviourVAE(AutoencoderRecommender):
    """Mult-VAE over several behaviours: what somebody viewed, put into the cart and bought, in one code.

    A history is a row of blocks of columns, one for each of `behaviours`; the scores of all blocks but the
    last are -inf, so that the last behaviour alone is recommended, also of what was otherwise touched: such
    items are lifted by a gain for each behaviour, learnt from validation people, see `best_gains`, or hidden
    where only what is `fresh` is wanted.
    Without `behaviours` it is Mult-VAE.  Takes the fields of `Settings` as keyword arguments.
    """

    id: ClassVar[str] = "behaviour-vae"
    defaults: ClassVar[Any] = Settings()
    search: ClassVar[dict[str, tuple[Any, ...]]] = MultVAE.search
    config: Any  # its own `Settings`

    @property
    def n_items(self) -> int:
        """The number of columns C M; 0 before fit."""
        if not self.params:
            return 0
        return self.params["w_in" if "w_in" in self.params else "w_mu"].shape[0]

    def start(self, rows: csr_matrix) -> None:
        """Draw the weights that training on `rows` (U, C M) begins with."""
        config, n_columns = self.config, rows.shape[1]
        if n_columns % len(config.channels.behaviours):
            raise InputError(f"behaviours: {n_columns} columns are no blocks of {config.behaviours}")
        rng = np.random.default_rng([config.seed, 0])
        self._steps_per_epoch = math.ceil(rows.shape[0] / config.batch)
        self.params = model.init_params(n_columns, config.hidden, config.latent, config.channels, rng)
        self.params |= self._no_gains
        if config.given_gains:
            self.params["gain"] = np.array(config.given_gains, np.float32)
        self.optimizers = {"all": make_optimizer(config.optimizer, config.lr, config.momentum, self.ops)}

    def _finish(self, validation: HeldOut | None) -> Params:
        """Learn the gains from what validation people took next."""
        if validation is None or not self._no_gains or self.config.fresh or self.config.gains:
            return {}
        gains = best_gains(self._parts(validation), len(self._no_gains["gain"]))
        return {"gain": gains.astype(np.float32)}

    @property
    def chosen(self) -> dict[str, Any]:
        """The number of epochs, and the gains where there are any."""
        if not self._no_gains or self.config.fresh:
            return super().chosen
        return super().chosen | {"gains": ",".join(map(str, self.params["gain"]))}

    def _parts(self, held: HeldOut) -> Iterator[tuple[Array, csr_matrix, csr_matrix]]:
        size = max(1, _SCORES // self._n_items)
        for start in range(0, len(held.users), size):
            rows = slice(start, start + size)
            yield self.logits(self.codes(held.fold_in[rows])), held.fold_in[rows], held.target[rows]

    def _gradients(
        self, params: Params, x: Any, mask: Any, eps: Any, beta: float
    ) -> tuple[autoencoder.Terms, Params]:
        channels, ops = self.config.channels, self.ops
        terms, cache = model.forward(params, x, channels, mask, eps, beta, self._buffers, ops)
        grads = model.backward(cache, channels, beta, self._buffers, ops)
        return terms, grads | self._no_gains  # training leaves them as they are

    def posterior(self, histories: csr_matrix) -> tuple[Array, Array | None]:
        """Mean and log-variance of the codes of histories, each (B, Z); None where codes have no variance."""
        return model.encode(self.params, canonical(histories), self.config.channels, ops=self.ops)[:2]

    def score(self, histories: csr_matrix) -> Array:
        """Scores (B, C M): of the last block its head's logits, lifted for touched items, of all others -inf.

        Where only what is `fresh` is wanted, touched items have -inf, too.
        """
        histories = canonical(histories)
        return self.beside(self.decode(self.codes(histories)), histories)

    def decode(self, codes: Array) -> Array:
        """Scores (B, C M) of codes (B, Z), as of people without a history."""
        scores = np.full((len(codes), self.n_items), -np.inf, dtype=np.float32)
        scores[:, -self._n_items :] = self.logits(codes)
        return scores

    def beside(self, scores: Array, histories: csr_matrix) -> Array:
        """The scores of `decode` with what the histories say of each item itself; written in place."""
        if self.config.fresh:
            return hide_touched(scores, histories, self._n_items)
        if "gain" in self.params:
            lift(scores[:, -self._n_items :], histories, self.params["gain"])
        return scores

    def logits(self, codes: Array, behaviour: int = -1) -> Array:
        """Logits (B, M) of a behaviour, by its place, at codes (B, Z)."""
        channels = self.config.channels
        place = behaviour % len(channels.behaviours)
        return model.score(self.params, codes, channels, place, self.ops)[0]

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d <scores, d_scores> / d x at the clicks of every behaviour, at the posterior mean."""
        channels, ops = self.config.channels, self.ops
        mu, _, encoder = model.encode(self.params, histories, channels, ops=ops)
        _, decoder = model.score(self.params, mu, channels, len(channels.behaviours) - 1, ops)
        d_logits = np.ascontiguousarray(d_scores[:, -self._n_items :])
        d_x = model.clicks_backward(d_logits, histories, encoder, decoder, channels, ops)
        if "gain" in self.params and not self.config.fresh:
            d_x.data += lift_backward(d_logits, histories, self.params["gain"])
        return d_x

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where names or shapes are not this model's."""
        config, channels = self.config, self.config.channels
        n_columns = arrays["w_in" if config.hidden else "w_mu"].shape[0]
        wanted = model.shapes(n_columns, config.hidden, config.latent, channels)
        wanted |= {name: array.shape for name, array in self._no_gains.items()}
        want_arrays(arrays, wanted)
        self.params = arrays

    @property
    def _n_items(self) -> int:
        return self.n_items // len(self.config.channels.behaviours)

    @property
    def _no_gains(self) -> Params:
        n_others = len(self.config.channels.behaviours) - 1
        return {"gain": np.zeros(n_others, np.float32)} if n_others else {}
