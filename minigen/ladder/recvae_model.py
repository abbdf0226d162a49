"""One batch through RecVAE, forward and backward, every gradient by hand, each player's alone.

x -> normalise -> drop out -> five layers with skip sums -> mu, log_var -> z -> one linear layer -> logits
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigen import initializers, losses
from minigen.backends import NUMPY, Backend
from minigen.ops.composite_prior.numpy_composite_prior import SHARES
from minigen.ops.dense.numpy_dense import matmul
from minigen.ops.dropout.numpy_dropout import Mask
from minigen.ops.sparse import row_sums, with_data
from minigen.recommender.autoencoder import Buffers
from minigen.typing import CSR, Array, Params

NORM_EPS = 0.1  # of the layer norm: large, so that a layer that says little is not made to shout
DECODER = ("w_out", "b_out")  # the arrays of the second player; all others are the encoder's


class Form(NamedTuple):
    """What the objective is made of, beside the arrays."""

    keep: float = 0.5  # probability that dropout keeps a click
    gamma: float = 0.005  # KL weight of a history, for each of its clicks
    shares: tuple[float, float, float] = SHARES  # of the prior: standard, old posterior, broad
    beta: float = 0.0  # above 0: the KL weight of every history, in the place of gamma's


class Terms(NamedTuple):
    """The parts of the loss, in nats, mean over the batch: `weighted_kl` is what the loss holds of kl."""

    nll: float
    kl: float
    weighted_kl: float

    @property
    def loss(self) -> float:
        """nll + weighted_kl."""
        return self.nll + self.weighted_kl


class LayerCache(NamedTuple):
    """One layer of the encoder: its product, its activation, its normalisation."""

    dense: Any
    swish: Any
    norm: Any


class Cache(NamedTuple):
    """One cache an operation, in the order of the forward pass; `weight` (B,) is gamma |x_u| of each row."""

    normalised: Any
    layers: list[LayerCache]
    mu: Any
    log_var: Any
    z: Any
    log_q: Any
    log_prior: Any
    weight: Array
    logits: Any
    nll: Any


def shapes(n_items: int, hidden: int, latent: int, layers: int) -> dict[str, tuple[int, ...]]:
    """w1 (M, H), w2 ... (H, H), w_mu and w_log_var (H, Z), w_out (Z, M), a bias each; gain and shift (H,).

    Without layers, w_mu and w_log_var (M, Z).
    """
    named: dict[str, tuple[int, ...]] = {}
    for n in range(1, layers + 1):
        named |= {f"w{n}": (hidden if n > 1 else n_items, hidden)}
        named |= dict.fromkeys((f"b{n}", f"gain{n}", f"shift{n}"), (hidden,))
    head = (hidden if layers else n_items, latent)
    for name, shape in (("mu", head), ("log_var", head), ("out", (latent, n_items))):
        named |= {f"w_{name}": shape, f"b_{name}": shape[1:]}
    return named


def init_params(n_items: int, hidden: int, latent: int, layers: int, rng: np.random.Generator) -> Params:
    """Random arrays of `shapes`: weights by Xavier, biases and shifts near 0 (std .001), gains 1."""
    params: Params = {}
    for name, shape in shapes(n_items, hidden, latent, layers).items():
        if name.startswith("w"):
            params[name] = initializers.xavier_uniform(shape[0], shape[1], rng)
        elif name.startswith("gain"):
            params[name] = np.ones(shape, np.float32)
        else:
            params[name] = initializers.truncated_normal(shape[0], 1e-3, rng)
    return params


def encode(
    params: Params, x: CSR, keep: float = 1.0, mask: Mask | Array | None = None, ops: Backend = NUMPY
) -> tuple[Array, Array, dict[str, Any]]:
    """Posterior of each row of x (B, M): mu and log_var (B, Z), and the caches.   [eq:recvae-encoder]

    h_n = layer_norm(swish(h_(n-1) w_n + b_n + h_1 + ... + h_(n-1))),   h_0 the normalised clicks.
    `mask` (nnz,) drops clicks; None keeps them all.  Shenbin et al. 2020, and the authors' code.
    """
    x, normalised = ops.l2_normalise_forward(x)
    if mask is not None:
        data, _ = ops.dropout_forward(x.data, mask, keep)
        x = with_data(x, data)
    layers: list[LayerCache] = []
    h, skip, layer = x, None, ops.sparse_dense_forward
    for n in range(1, sum(name.startswith("gain") for name in params) + 1):
        a, dense = layer(h, params[f"w{n}"], params[f"b{n}"])
        s, swish = ops.swish_forward(a if skip is None else ops.accumulate(a, skip))
        h, norm = ops.layer_norm_forward(s, params[f"gain{n}"], params[f"shift{n}"], NORM_EPS)
        skip, layer = h if skip is None else ops.accumulate(skip, h), ops.dense_forward
        layers.append(LayerCache(dense, swish, norm))
    mu, mu_cache = layer(h, params["w_mu"], params["b_mu"])
    log_var, log_var_cache = layer(h, params["w_log_var"], params["b_log_var"])
    return mu, log_var, {"normalised": normalised, "layers": layers, "mu": mu_cache, "log_var": log_var_cache}


def forward(
    params: Params,
    old: Params | None,
    x: CSR,
    form: Form,
    mask: Mask | Array | None,
    eps: Array,
    buffers: Buffers | None = None,
    ops: Backend = NUMPY,
) -> tuple[Terms, Cache]:
    """The negative ELBO under the composite prior, one sample a row:   [eq:recvae-loss]

    mean_u (nll(x_u | z_u) + gamma |x_u| (log q(z_u | x_u) - log p(z_u | x_u))),   z = mu + std eps.
    x CSR (B, M), mask (nnz,) or None, eps (B, Z); `old` is the encoder whose posterior of all clicks is in
    the prior, None where it is the present one; |x_u| the sum of a row.  With beta above 0, beta takes the
    place of gamma |x_u|.  Nats.  Shenbin et al. 2020.
    """
    mu, log_var, caches = encode(params, x, form.keep, mask, ops)
    old_mu, old_log_var = (mu, log_var) if old is None else encode(old, x, ops=ops)[:2]
    z, caches["z"] = ops.reparameterise_forward(mu, log_var, eps)
    log_q, caches["log_q"] = losses.gaussian_log_prob_forward(z, mu, log_var)
    log_prior, caches["log_prior"] = ops.composite_log_prob_forward(z, old_mu, old_log_var, form.shares)
    kl = log_q - log_prior
    weight = np.full_like(kl, form.beta) if form.beta else form.gamma * row_sums(x.data, x)
    caches["weight"] = weight
    out = None if buffers is None else buffers.get("logits", x.shape, z.dtype)
    logits, caches["logits"] = ops.dense_forward(z, params["w_out"], params["b_out"], out=out)
    # The logits are needed no more: their gradient takes their place.
    nll, caches["nll"] = ops.softmax_nll_forward(logits, x, out=logits)
    return Terms(nll, float(kl.mean()), float((weight * kl).mean())), Cache(**caches)


def encoder_gradients(cache: Cache, buffers: Buffers | None = None, ops: Backend = NUMPY) -> Params:
    """Gradients of `forward`'s loss in the encoder's parameters, by name.   [eq:recvae-encoder-backward]"""
    d_logits = ops.softmax_nll_backward(1.0, cache.nll)
    d_z = d_logits @ cache.logits.w.T  # the decoder stands still: its own gradients are never formed
    # Of log q - log p: z is in both, mu and log_var are in q beside, and the old posterior is data.
    d_kl = cache.weight / len(cache.weight)
    d_z_q, d_mu_q, d_log_var_q = losses.gaussian_log_prob_backward(d_kl, cache.log_q)
    d_z = d_z + d_z_q + ops.composite_log_prob_backward(-d_kl, cache.log_prior)
    d_mu, d_log_var = ops.reparameterise_backward(d_z, cache.z)
    return _pull(ops.accumulate(d_mu, d_mu_q), ops.accumulate(d_log_var, d_log_var_q), cache, buffers, ops)


def decoder_gradients(cache: Cache, buffers: Buffers | None = None, ops: Backend = NUMPY) -> Params:
    """Gradients of `forward`'s loss in w_out and b_out.   [eq:recvae-decoder-backward]"""
    d_logits = ops.softmax_nll_backward(1.0, cache.nll)
    z, w = cache.logits
    out = None if buffers is None else buffers.get("d_w_out", w.shape, w.dtype)
    return {"w_out": matmul(z.T, d_logits, out), "b_out": d_logits.sum(axis=0)}


def clicks_backward(d_logits: Array, w_out: Array, caches: dict[str, Any], ops: Backend = NUMPY) -> CSR:
    """Pull d_logits (B, M) back to the clicks of x, at z = mu, without dropout.   [eq:recvae-clicks-backward]

    `caches` are those of `encode`.
    """
    d_y: Array = d_logits @ w_out.T
    first = caches["mu"]
    if caches["layers"]:
        d_h, _, _ = ops.dense_backward(d_y, first)
        d_y, _ = _pull_layers(d_h, caches["layers"], ops)
        first = caches["layers"][0].dense
    d_x, _, _ = ops.sparse_dense_backward(d_y, first)
    return ops.l2_normalise_backward(d_x, caches["normalised"])


def _pull(d_mu: Array, d_log_var: Array, cache: Cache, buffers: Buffers | None, ops: Backend) -> Params:
    """From the posterior back to every parameter of the encoder."""
    grads: Params = {}

    # The clicks themselves are data: nothing below the first layer wants a gradient.
    def clicks_layer(name: str, d_y: Array, layer: Any) -> None:
        out = None if buffers is None else buffers.get(f"d_w{name}", layer.w.shape, layer.w.dtype)
        _, grads[f"w{name}"], grads[f"b{name}"] = ops.sparse_dense_backward(d_y, layer, False, out)

    if not cache.layers:
        clicks_layer("_mu", d_mu, cache.mu)
        clicks_layer("_log_var", d_log_var, cache.log_var)
        return grads
    d_h_mu, grads["w_mu"], grads["b_mu"] = ops.dense_backward(d_mu, cache.mu)
    d_h_var, grads["w_log_var"], grads["b_log_var"] = ops.dense_backward(d_log_var, cache.log_var)
    d_a, above = _pull_layers(ops.accumulate(d_h_mu, d_h_var), cache.layers, ops)
    clicks_layer("1", d_a, cache.layers[0].dense)
    return grads | above


def _pull_layers(d_h: Array, layers: list[LayerCache], ops: Backend) -> tuple[Array, Params]:
    """From the last h back to the product of the first layer; the gradients of all above that product."""
    grads: Params = {}
    d_skip = None
    for n in range(len(layers), 0, -1):
        dense, swish, norm = layers[n - 1]
        d_s, grads[f"gain{n}"], grads[f"shift{n}"] = ops.layer_norm_backward(d_h, norm)
        d_a = ops.swish_backward(d_s, swish)
        if n > 1:
            d_h, grads[f"w{n}"], grads[f"b{n}"] = ops.dense_backward(d_a, dense)
            # Every h before this layer is a term of its sum, so it gets d_a of all layers above it.
            d_skip = d_a if d_skip is None else ops.accumulate(d_skip, d_a)
            d_h = ops.accumulate(d_h, d_skip)
    return d_a, grads
