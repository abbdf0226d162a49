"""What the model does not know about a person: its posterior, drawn from and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.evaluation.metrics import PerUser
from minigen.ops.sparse import rank_in_row, with_data
from minigen.ops.topk.numpy_topk import top_k
from minigen.recommender.combine import log_softmax, softmax
from minigen.typing import Array


def posterior(model: Any, histories: csr_matrix) -> tuple[Array, Array]:
    """Mean and log-variance of the codes of histories, each (B, Z).

    Raises InputError for a model whose code has no variance.
    """
    mu, log_var = model.posterior(histories) if hasattr(model, "posterior") else (None, None)
    if mu is None or log_var is None:
        raise InputError(f"{model.id} has no posterior to draw from; mult-vae and recvae have one")
    return mu, log_var


def sample_scores(model: Any, histories: csr_matrix, rng: np.random.Generator | None) -> Array:
    """Scores (B, M) at codes drawn from the posterior: z = mu + exp(log_var / 2) eps.   [eq:thompson]

    An item is ranked first as often as the posterior holds it for the best: Thompson 1933.
    Raises ValueError without `rng`, InputError for a model without a posterior.
    """
    if rng is None:
        raise ValueError("rng: want a generator, to draw the codes")
    mu, log_var = posterior(model, histories)
    return _scores_at(model, histories, mu + np.exp(log_var / 2) * _noise(mu, rng))


def prior_behaviour(model: Any, n: int = 256, seed: int = 0) -> Array:
    """What nobody in particular would do next: the mean of p(i | z) over n codes of the prior, (M,).

    Raises InputError for a model without one.   [eq:prior-behaviour]
    """
    posterior(model, csr_matrix((1, int(model.n_items))))
    rng = np.random.default_rng(seed)
    codes = rng.standard_normal((n, model.config.latent), dtype=np.float32)
    return softmax(model.decode(codes)).mean(axis=0)


class Spread(NamedTuple):
    """How sure the model is of people when it is shown `clicks` items of each."""

    clicks: int
    std: PerUser  # of the code, mean over its dimensions
    nats: PerUser  # KL(p at the mean || p at a drawn code), of the next item
    overlap: PerUser  # share of the 10 best that two draws have in common


def spread_by_length(
    model: Any, histories: csr_matrix, lengths: Sequence[int], seed: int = 0, k: int = 10
) -> list[Spread]:
    """The same people, those with enough items, shown so many of them, drawn at random.

    Raises InputError where nobody has so many, or the model has no posterior.
    """
    rng = np.random.default_rng(seed)
    rows = histories[np.flatnonzero(np.diff(histories.indptr) >= max(lengths))]
    if not rows.shape[0]:
        raise InputError(f"nobody has a history of {max(lengths)} items")
    found = []
    for n in lengths:
        shown = shorten(rows, n, rng)
        mu, log_var = posterior(model, shown)
        at_mean = log_softmax(model.score(shown))
        draws = [_scores_at(model, shown, mu + np.exp(log_var / 2) * _noise(mu, rng)) for _ in range(2)]
        drawn, some = log_softmax(draws[0]), np.isfinite(at_mean)  # what is ruled out adds nothing
        ratio = np.subtract(at_mean, drawn, out=np.zeros_like(drawn), where=some)
        lists = [top_k(scores, k, shown)[0] for scores in draws]
        overlap = [np.intersect1d(a, b).size / k for a, b in zip(*lists)]
        std = np.exp(log_var / 2).mean(axis=1, dtype=np.float64)
        found.append(Spread(n, std, (np.exp(at_mean) * ratio).sum(axis=1), np.array(overlap)))
    return found


def shorten(histories: csr_matrix, n: int, rng: np.random.Generator) -> csr_matrix:
    """n of the clicks of each row, drawn without replacement; a row with fewer stays."""
    kept = with_data(histories, histories.data * (places(histories, rng) < n)).copy()
    kept.eliminate_zeros()
    return kept


def places(histories: csr_matrix, rng: np.random.Generator) -> NDArray[np.int64]:
    """The place (nnz,) of each click in a random order of its row, from 0."""
    return rank_in_row(histories, rng.random(histories.nnz))


def _scores_at(model: Any, histories: csr_matrix, z: Array) -> Array:
    """Scores (B, M) of histories where their code is z; a path beside the code stays as it is."""
    scores = model.decode(z)
    return model.beside(scores, histories) if hasattr(model, "beside") else scores


def _noise(like: Array, rng: np.random.Generator) -> Array:
    return rng.standard_normal(like.shape, dtype=np.float32)
