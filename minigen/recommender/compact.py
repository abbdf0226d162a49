"""A trained autoencoder for serving, its decoder in 16 bits: an answer reads half as much memory."""

from __future__ import annotations

from typing import Any, NoReturn

from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.recommender import autoencoder
from minigen.recommender.base import Recommender
from minigen.recommender.trained import AutoencoderRecommender
from minigen.typing import Array


class Compact(Recommender):
    """`Compact(model).recommend(...)` instead of `model.recommend(...)`; the model itself stays as it is.

    A score changes by less than the 50,000th part of what is added up for it.
    Raises InputError for a model that has learnt nothing, another kind of model, or the backend cuda.
    """

    family = AutoencoderRecommender.family

    def __init__(self, model: AutoencoderRecommender) -> None:
        plain = isinstance(model, AutoencoderRecommender)
        plain = plain and (type(model).score, type(model).decode) == (
            AutoencoderRecommender.score,
            AutoencoderRecommender.decode,
        )
        if not plain or not model.params or model.ops.name == "cuda":
            raise InputError("compact: want a trained autoencoder with a plain decoder, on numpy or numba")
        self.model, self.id, self.ops, self.params = model, model.id, model.ops, model.params  # type: ignore[misc]
        self._w_out = self.ops.shorten(model.params["w_out"])

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the model."""
        return self.model.settings

    @property
    def n_items(self) -> int:
        """The number of items M."""
        return self.model.n_items

    def score(self, histories: csr_matrix) -> Array:
        """Logits (B, M) of the decoder at the posterior mean of each history."""
        ops, params = self.ops, self.params
        h = self.model.codes(histories)
        if "w_dec" in params:
            activate, _ = autoencoder.activation(self.model.config.form, ops)
            h, _ = activate(ops.dense_forward(h, params["w_dec"], params["b_dec"])[0])
        scores: Array = ops.short_dense_forward(h, self._w_out, params["b_out"])
        return scores

    def fit(self, train: csr_matrix, validation: Any = None) -> NoReturn:
        """Raises InputError: train the model, and make it compact then."""
        raise InputError("a compact model only serves")

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """That of the model."""
        return self.model.click_gradient(histories, d_scores)
