"""The application: the behaviour that a model generates, combined with the history."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.ops.checks import want_same_shape
from minigen.recommender.base import Recommender, canonical
from minigen.typing import Array


def softmax(scores: Array) -> Array:
    """exp(s) / sum exp(s) of each row (B, M), without overflow.   [eq:softmax]"""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def log_softmax(scores: Array) -> NDArray[np.float64]:
    """Its logarithm, in float64: finite for whatever is not ruled out by a score of -inf."""
    shifted = np.subtract(scores, scores.max(axis=1, keepdims=True), dtype=np.float64)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def generated(model: Recommender, histories: csr_matrix) -> Array:
    """The behaviour that `model` generates: what the next click is, p(i | history), (B, M).

    For a multinomial decoder that is softmax(logits).   [eq:generated-behaviour]
    """
    return softmax(model.score(histories))


def combine(behaviour: Array, histories: csr_matrix, repeat: float = 0.0) -> Array:
    """One ranking of generated behaviour (B, M) and history: (1 - r) p_new + r x / |x|.   [eq:combine]

    p_new is the generated behaviour over the items that the history lacks; x / |x| the history as shares.
    repeat = r in [0, 1]: 0 recommends new items alone, 1 old ones alone.  Rows add up to 1.
    Raises ValueError for r outside [0, 1] or shapes that differ, InputError for an empty history or one that
    leaves nothing new.
    """
    if not 0 <= repeat <= 1:
        raise ValueError(f"repeat: want a share between 0 and 1, got {repeat}")
    want_same_shape(histories=histories, behaviour=behaviour)
    histories = canonical(histories)
    shares = histories.toarray()
    total = shares.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise InputError("histories: want at least one click in each row")
    new = np.where(shares > 0, 0, behaviour)
    left = new.sum(axis=1, keepdims=True)
    if not (left > 0).all():
        raise InputError("histories: want at least one item that is new in each row")
    return (1 - repeat) * new / left + repeat * shares / total
