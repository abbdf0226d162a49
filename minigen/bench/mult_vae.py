"""Mult-VAE's training step and its operations, on one of our backends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigen.backends import load
from minigen.bench.cases import Case, long_tailed_rows
from minigen.recommender import MultVAE, autoencoder

_BATCHES = 4  # different ones, in turn: the caches must not know the clicks by heart
_FLOAT = 4  # bytes


@dataclass(frozen=True)
class Sizes:
    """Of the model, and of the data it learns from."""

    items: int
    hidden: int = 600
    latent: int = 200
    batch: int = 500
    clicks: int = 70
    negatives: int = 0  # items drawn at each step for the softmax; 0: all

    @property
    def n_params(self) -> int:
        """Weights and biases."""
        arrays = autoencoder.shapes(self.items, self.hidden, self.latent).values()
        return sum(map(math.prod, arrays))

    @property
    def step_gflop(self) -> float:
        """Products of a step, forward and backward; the clicks' layer has none."""
        m, h, z = self.items, self.hidden, self.latent
        return 6e-9 * self.batch * (h * m + 3 * h * z)

    @property
    def adam_gb(self) -> float:
        """Read w, m and v, and write them; a gradient need not go to memory to be used."""
        return 1e-9 * 6 * _FLOAT * self.n_params


class Step:
    """A model, its batches, and the noise of every step: the same whoever takes them."""

    def __init__(self, sizes: Sizes, backend: str = "numpy") -> None:
        self.rows = long_tailed_rows(_BATCHES * sizes.batch, sizes.items, sizes.clicks)
        hidden, latent, negatives = sizes.hidden, sizes.latent, sizes.negatives
        self.model = MultVAE(
            hidden=hidden, latent=latent, batch=sizes.batch, negatives=negatives, backend=backend
        )
        self.model.start(self.rows)
        self.n = 0

    def batch(self) -> tuple[Any, np.random.Generator]:
        """The rows and the random numbers of the next step."""
        size, start = self.model.config.batch, self.n % _BATCHES
        return self.rows[start * size : (start + 1) * size], np.random.default_rng([1, self.n])

    def __call__(self) -> float:
        """Take a step; its loss."""
        rows, rng = self.batch()
        loss = self.model.train_step(rows, rng, self.n)["loss"]
        self.n += 1
        return loss


def step_cases(sizes: Sizes, backend: str) -> dict[str, Case]:
    """The whole training step; that of a sample has no fixed amount of work, and no floor."""
    work = () if sizes.negatives else (sizes.step_gflop, sizes.adam_gb)
    return {"step": Case(Step(sizes, backend), *work)}


def operation_cases(sizes: Sizes, backend: str) -> dict[str, Case]:
    """Every operation at the sizes of the step's largest layer."""
    ops, rng = load(backend), np.random.default_rng(0)
    b, m, h = sizes.batch, sizes.items, sizes.hidden
    x = ops.put(long_tailed_rows(b, m, sizes.clicks))
    clicks = b * sizes.clicks

    def draw(*shape: int) -> Any:
        return ops.put(rng.standard_normal(shape, dtype=np.float32) * np.float32(0.05))

    w_in, b_in, hidden, d_hidden = draw(m, h), draw(h), draw(b, h), draw(b, h)
    w_out, b_out, d_logits = draw(h, m), draw(m), draw(b, m)
    logits, d_w, scores, d_w_in = draw(b, m), draw(h, m), draw(b, m), draw(m, h)  # what a step reuses
    in_place = draw(b, m)
    in_cache = ops.sparse_dense_forward(x, w_in, b_in)[1]
    out_cache = ops.dense_forward(hidden, w_out, b_out)[1]
    mask = ops.put(rng.random(clicks) < 0.5)
    state, moved = ops.AdamState.zeros_like(w_out), ops.put(ops.get(w_out).copy())

    def normalise() -> Any:
        y, cache = ops.l2_normalise_forward(x)
        return ops.dropout_forward(y.data, mask, 0.5), cache

    # Not here: top_k, which sifts, and normalise_dropout, a few short calls on what the cache holds.
    gb = {
        "sparse_dense_forward": clicks * h + b * h,
        "sparse_dense_backward": clicks * h + m * h,
        "softmax_nll": 2 * b * m,
        "adam": 7 * h * m,
    }
    work: dict[str, tuple[Callable[[], Any], float]] = {
        "dense_forward": (lambda: ops.dense_forward(hidden, w_out, b_out, out=logits), 2e-9 * b * h * m),
        "dense_backward": (lambda: ops.dense_backward(d_logits, out_cache, out=d_w), 4e-9 * b * h * m),
        "sparse_dense_forward": (lambda: ops.sparse_dense_forward(x, w_in, b_in), 0),
        "sparse_dense_backward": (lambda: ops.sparse_dense_backward(d_hidden, in_cache, False, d_w_in), 0),
        "softmax_nll": (lambda: ops.softmax_nll_forward(in_place, x, out=in_place), 0),
        "adam": (lambda: ops.adam_step(moved, d_w, state), 0),
        "normalise_dropout": (normalise, 0),
        "top_k": (lambda: ops.top_k(scores, min(100, m), x), 0),
    }
    cases = {name: Case(run, gflop, 1e-9 * _FLOAT * gb.get(name, 0)) for name, (run, gflop) in work.items()}
    if backend == "numpy":  # what the clicks' layer saves
        full, d_full = np.asarray(x.toarray()), np.empty((m, h), np.float32)
        full_cache = ops.dense_forward(full, w_in, b_in)[1]
        cases["clicks_as_dense_forward"] = Case(lambda: ops.dense_forward(full, w_in, b_in))
        cases["clicks_as_dense_backward"] = Case(
            lambda: (np.matmul(full_cache.x.T, d_hidden, out=d_full), d_hidden.sum(axis=0))
        )
    return cases
