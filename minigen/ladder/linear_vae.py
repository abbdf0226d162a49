"""Mult-VAE with a linear path: what a linear model says of the other clicks joins the decoder's logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from minigen.data.interactions import HeldOut
from minigen.errors import InputError
from minigen.ladder.edlae import EDLAE
from minigen.ladder.linear_path import (
    EASEPath,
    SpectralPath,
    log_shares_backward,
    log_shares_forward,
)
from minigen.ops.sparse import with_data
from minigen.recommender import autoencoder, settings
from minigen.recommender.base import Recommender, canonical
from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.trained import AutoencoderRecommender
from minigen.typing import Array, Params

PATHS = ("ease", "edlae", "spectral")
_PATH = "path."  # before the names of the path's arrays
GAINS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)  # tried on validation people


@dataclass(frozen=True)
class Settings(settings.Settings):
    """Those of an autoencoder, and of the path beside it."""

    path: str = "ease"  # or edlae; or spectral: of low rank, for a catalogue whose M^2 floats are too many
    path_l2: float = 100.0  # lambda of ease, l2 of edlae
    path_factors: int = 256  # singular vectors of spectral,
    path_gram: float = 3.0  # and the weight of its two steps along the edges
    gain: float = 1.3  # weight of the path that training begins with
    joint: bool = True  # one softmax in training; else the decoder learns alone, gain is chosen when it can
    path_dropout: float = 0.5  # the other settings of edlae, see there
    path_user_power: float = 0.25
    path_item_power: float = 0.2
    path_locality: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path not in PATHS:
            raise InputError(f"path: want {' or '.join(PATHS)}, got {self.path}")
        if self.joint and self.path == "edlae":
            raise InputError("joint: want false with path=edlae, out of which nobody can be left")
        if not np.isfinite(self.gain):
            raise InputError(f"gain: want a number, got {self.gain}")
        if self.backend == "cuda" or self.negatives:
            raise InputError("linear-vae: want the backend numpy or numba, and no negatives")
        self.new_path()

    def new_path(self) -> Recommender:
        """The path, which has learnt nothing yet."""
        if self.path == "ease":
            return EASEPath(self.path_l2)
        if self.path == "edlae":
            own = (self.path_dropout, self.path_user_power, self.path_item_power, self.path_locality)
            return EDLAE(self.path_l2, *own)
        return SpectralPath(self.path_factors, self.path_gram)


class LinearVAE(AutoencoderRecommender):
    """Mult-VAE and a linear model in one softmax, each left to say what the other cannot.   [eq:linear-vae]

    p(i | x) in proportion to exp(f_i(z) + gain log(1 + s_i / mean s)),   s the path's scores of x.
    The path is fitted first, in closed form.  In training it must not know the user whom it speaks of, or
    the decoder would learn to trust it too much: s is then that of `leave_out`, to be had without refitting.
    Unless `joint`, the path is out of the loss, and its gain the best of `GAINS` for validation people.
    The idea of Vančura & Kordík 2021 (VASP).  Takes the fields of `Settings` as keyword arguments.
    """

    id: ClassVar[str] = "linear-vae"
    defaults: ClassVar[Settings] = Settings()
    search: ClassVar[dict[str, tuple[Any, ...]]] = MultVAE.search | {
        "path_l2": (50.0, 100.0, 200.0, 400.0),
        "gain": (0.7, 1.0, 1.3),
    }
    config: Any  # its own `Settings`

    def start(self, rows: csr_matrix) -> None:
        """Fit the path to `rows` (U, M), and draw the weights that training begins with."""
        path = self.config.new_path().fit(rows)
        super().start(rows)
        self.params["gain"] = np.array([self.config.gain], np.float32)
        self.params |= {f"{_PATH}{name}": array for name, array in path.params.items()}

    def _gradients(
        self, params: Params, x: Any, mask: Any, eps: Any, beta: float
    ) -> tuple[autoencoder.Terms, Params]:
        """The loss of a batch in its terms, and its gradient in every parameter but those of the path."""
        if not self.config.joint:
            return super()._gradients(params, x, mask, eps, beta)
        form, ops = self.config.form, self.ops
        path, _ = log_shares_forward(self.path.leave_out(x))  # type: ignore[attr-defined]  # never edlae
        terms, cache = autoencoder.forward(params, x, form, mask, eps, beta, self._buffers, ops, path)
        return terms, autoencoder.backward(cache, form, beta, self._buffers, ops)

    def _finish(self, validation: HeldOut | None) -> Params:
        """Choose the gain of a decoder that has learnt alone."""
        if self.config.joint or validation is None:
            return {}
        scores = [self._validate_with(gain, validation) for gain in GAINS]
        return {"gain": np.array([GAINS[int(np.argmax(scores))]], np.float32)}

    def _validate_with(self, gain: float, validation: HeldOut) -> float:
        self.params["gain"] = np.array([gain], np.float32)
        return self._validate(validation)

    @property
    def chosen(self) -> dict[str, Any]:
        """The number of epochs, and the gain where validation has chosen it."""
        return super().chosen | ({} if self.config.joint else {"gain": float(self.params["gain"][0])})

    @property
    def path(self) -> Recommender:
        """The path alone, a recommender of its own."""
        path = self.config.new_path()
        path.params = self._arrays_of_path()
        return path

    def score(self, histories: csr_matrix) -> Array:
        """Logits (B, M): the decoder's at the posterior mean of each history, and the path's."""
        return self.beside(super().score(histories), histories)

    def beside(self, scores: Array, histories: csr_matrix) -> Array:
        """The scores of `decode` with what the path says of the histories."""
        path, _ = log_shares_forward(self.path.score(canonical(histories)))
        return scores + self.params["gain"] * path

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d <scores, d_scores> / d x at the clicks, through decoder, encoder and path."""
        path = self.path
        _, cache = log_shares_forward(path.score(histories))
        through_path = path.click_gradient(
            histories, log_shares_backward(d_scores * self.params["gain"], cache)
        )
        through_code = super().click_gradient(histories, d_scores)
        return with_data(histories, through_code.data + through_path.data)

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where names or shapes are not this model's."""
        own = {name: array for name, array in arrays.items() if not name.startswith(_PATH)}
        gain = own.pop("gain")
        super().restore(own)
        self.params |= arrays
        path = self.config.new_path()
        path.restore(self._arrays_of_path())
        if (gain.shape, path.n_items) != ((1,), self.n_items):
            raise ValueError("the gain or the path does not belong to this autoencoder")

    def _arrays_of_path(self) -> Params:
        return {n.removeprefix(_PATH): array for n, array in self.params.items() if n.startswith(_PATH)}
