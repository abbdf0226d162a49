"""One batch through the autoencoder of several behaviours: every gradient by hand.

x, a block of columns a behaviour -> normalise each block -> drop out -> one encoder -> z -> one hidden layer
-> for each behaviour a head: logits over the items, and a softmax of its own
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minigen import initializers
from minigen.backends import NUMPY, Backend
from minigen.ladder.blocks import blocks
from minigen.ops.dropout.numpy_dropout import Mask
from minigen.ops.sparse import with_data
from minigen.recommender import autoencoder
from minigen.recommender.autoencoder import Terms
from minigen.recommender.buffers import Buffers
from minigen.typing import CSR, Array, Params


class Channels(NamedTuple):
    """Which behaviours there are, and what their heads weigh.

    `body` is everything between the clicks and the heads; it does not normalise.  `weights`, one for each
    behaviour, are those of the heads, 0 for none; without them the heads weigh so that all cost the same.
    """

    body: autoencoder.Form
    behaviours: tuple[str, ...] = ("",)
    weights: tuple[float, ...] = ()

    def heads(self) -> Iterator[tuple[int, str]]:
        """Number and array suffix of each behaviour with a head."""
        for n, name in enumerate(self.behaviours):
            if not self.weights or self.weights[n] > 0:
                yield n, f".{name}" if name else ""


class Head(NamedTuple):
    """One behaviour's head: the suffix of its arrays, its caches, its cost in nats and weight."""

    suffix: str
    logits: Any
    nll: Any
    cost: float
    weight: float


class Cache(NamedTuple):
    """One cache an operation, as far as `autoencoder.hidden_backward` reads them, and the heads."""

    encoder: Any
    encoder_act: Any
    mu: Any
    log_var: Any
    z: Any
    kl: Any
    decoder: Any
    decoder_act: Any
    heads: list[Head]


def shapes(n_columns: int, hidden: int, latent: int, channels: Channels) -> dict[str, tuple[int, ...]]:
    """Those of the autoencoder of C M columns, and for each head b: w_out.b (H, M), b_out.b (M,)."""
    named = autoencoder.shapes(n_columns, hidden, latent, channels.body.stochastic)
    below, _ = named.pop("w_out")
    n_items = named.pop("b_out")[0] // len(channels.behaviours)
    for _, suffix in channels.heads():
        named |= {f"w_out{suffix}": (below, n_items), f"b_out{suffix}": (n_items,)}
    return named


def init_params(
    n_columns: int, hidden: int, latent: int, channels: Channels, rng: np.random.Generator
) -> Params:
    """Random arrays of `shapes`, drawn as the autoencoder's."""
    drawn = autoencoder.init_params(n_columns, hidden, latent, channels.body, rng)
    params: Params = {}
    for name, shape in shapes(n_columns, hidden, latent, channels).items():
        if name in drawn:
            params[name] = drawn[name]
        elif name.startswith("w_"):
            params[name] = initializers.xavier_uniform(shape[0], shape[1], rng)
        else:
            params[name] = initializers.truncated_normal(shape[0], 1e-3, rng)
    return params


def encode(
    params: Params, x: CSR, channels: Channels, mask: Mask | Array | None = None, ops: Backend = NUMPY
) -> tuple[Array, Array | None, dict]:
    """Posterior mu and log_var (B, Z) of each row of x (B, C M), and the caches.   [eq:behaviour-encoder]

    Each behaviour's block is normalised by itself: x_b / |x_b|, so that rare purchases are heard beside many
    views.  A block without clicks adds nothing.
    """
    normal, lengths = ops.l2_normalise_forward(blocks(x, len(channels.behaviours)))
    mu, log_var, caches = autoencoder.encode(params, with_data(x, normal.data), channels.body, mask, ops)
    return mu, log_var, caches | {"normalised": lengths}


def weigh(costs: list[float], given: list[float]) -> tuple[float, list[float]]:
    """sum_b w_b cost_b, and d of it by each cost.   [eq:head-weights]

    Without `given` weights w is the minimum of the sum over all w with product 1: there every w_b cost_b is
    the same, G, the geometric mean of the costs, and the sum is K G.  Its slope in cost_b is w_b = G / cost_b
    again.  A cost of 0, of a behaviour that nobody in the batch has, stays out.  Chennupati et al. 2019.
    """
    if given:
        return sum(w * cost for w, cost in zip(given, costs)), given
    alive = [cost for cost in costs if cost > 0]
    mean = math.exp(sum(map(math.log, alive)) / max(1, len(alive)))
    return mean * len(alive), [mean / cost if cost > 0 else 0.0 for cost in costs]


def forward(
    params: Params,
    x: CSR,
    channels: Channels,
    mask: Mask | Array | None,
    eps: Array | None,
    beta: float,
    buffers: Buffers | None = None,
    ops: Backend = NUMPY,
) -> tuple[Terms, Cache]:
    """sum_b w_b nll_b + beta KL(q(z|x) || N(0, I)), nll_b = -sum_i x_bi log p_b(i | z).   [eq:behaviour-elbo]

    x CSR (B, C M), mask (nnz,) or None, eps (B, Z), None unless stochastic  ->  nats, mean over B; p_b is
    the softmax of head b over the items, w from `weigh`.
    """
    mu, log_var, caches = encode(params, x, channels, mask, ops)
    z, kl, z_cache, kl_cache = mu, 0.0, None, None
    if log_var is not None:
        z, z_cache = ops.reparameterise_forward(mu, log_var, eps)
        kl, kl_cache = ops.gaussian_kl_forward(mu, log_var)
    parts, found = blocks(x, len(channels.behaviours)), []
    h = z
    decoder: dict[str, Any] = {}
    for n, suffix in channels.heads():
        w, b = params[f"w_out{suffix}"], params[f"b_out{suffix}"]
        out = None if buffers is None else buffers.get(f"logits{suffix}", (len(z), w.shape[1]), z.dtype)
        if decoder:
            logits, dense = ops.dense_forward(h, w, b, out=out)
        else:
            logits, decoder = autoencoder.decode(
                params | {"w_out": w, "b_out": b}, z, channels.body, out, ops
            )
            dense = decoder["logits"]
            h = dense.x
        # The logits are needed no more: their gradient takes their place.
        cost, nll = ops.softmax_nll_forward(logits, parts[n :: len(channels.behaviours)], out=logits)
        found.append((suffix, dense, nll, cost))
    given = [channels.weights[n] for n, _ in channels.heads()] if channels.weights else []
    total, weights = weigh([cost for *_, cost in found], given)
    heads = [Head(*head, weight) for head, weight in zip(found, weights)]
    body = {name: caches[name] for name in ("encoder", "encoder_act", "mu", "log_var")}
    body |= {name: decoder[name] for name in ("decoder", "decoder_act")}
    return Terms(total, kl, beta), Cache(**body, z=z_cache, kl=kl_cache, heads=heads)


def backward(
    cache: Cache, channels: Channels, beta: float, buffers: Buffers | None = None, ops: Backend = NUMPY
) -> Params:
    """Gradients of `forward`'s loss in every parameter, by name.   [eq:behaviour-elbo-backward]"""
    grads: Params = {}
    d_h: Any = None
    for head in cache.heads:
        d_logits = ops.softmax_nll_backward(head.weight, head.nll)
        name = f"w_out{head.suffix}"
        out = None if buffers is None else buffers.like(f"d_{name}", head.logits.w)
        d_h_head, grads[name], grads[f"b_out{head.suffix}"] = ops.dense_backward(
            d_logits, head.logits, out=out
        )
        d_h = d_h_head if d_h is None else ops.accumulate(d_h, d_h_head)  # all heads read the same h
    return grads | autoencoder.hidden_backward(d_h, cache, channels.body, beta, buffers, ops)


def score(
    params: Params, mu: Array, channels: Channels, place: int, ops: Backend = NUMPY
) -> tuple[Array, dict]:
    """Logits (B, M) of the head at `place` for codes mu (B, Z), and the caches."""
    suffix = dict(channels.heads())[place]
    head = {"w_out": params[f"w_out{suffix}"], "b_out": params[f"b_out{suffix}"]}
    return autoencoder.decode(params | head, mu, channels.body, ops=ops)


def clicks_backward(
    d_logits: Array, x: CSR, encoder: dict, decoder: dict, channels: Channels, ops: Backend = NUMPY
) -> CSR:
    """Pull one head's d_logits (B, M) back to the clicks of x, at z = mu.   [eq:behaviour-clicks-backward]

    `encoder` and `decoder` are the caches of `encode` and `score`.
    """
    d_normal = autoencoder.clicks_backward(d_logits, encoder, decoder, channels.body, ops)
    d_blocks = with_data(encoder["normalised"].y, d_normal.data)
    return with_data(x, ops.l2_normalise_backward(d_blocks, encoder["normalised"]).data)
