"""One batch through the autoencoder of sparse rows, forward and backward, every gradient by hand.

x -> normalise -> drop out -> encoder -> mu, log_var -> z -> decoder (+ gain path) -> logits -> likelihood
A deterministic one has no log_var: z = mu, and there is no KL term.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigen import initializers, losses
from minigen.backends import NUMPY, Backend
from minigen.ops.dropout.numpy_dropout import Mask
from minigen.ops.sparse import with_data
from minigen.recommender.buffers import Buffers
from minigen.typing import CSR, Array, Params

LIKELIHOODS = ("multinomial", "bernoulli")


class Form(NamedTuple):
    """What kind of autoencoder: the choices that change the loss, not its sizes."""

    activation: str = "tanh"
    likelihood: str = "multinomial"
    normalise: bool = True
    keep: float = 0.5  # probability that dropout keeps a click
    stochastic: bool = True  # the code is drawn from its posterior
    l2: float = 0.0  # weight of the sum of all squared weights, the biases not among them


class Terms(NamedTuple):
    """The parts of the loss, in nats, mean over the batch; on a device until somebody asks for a float."""

    nll: Any
    kl: Any
    beta: float
    penalty: float = 0.0

    @property
    def loss(self) -> float:
        """nll + beta kl + penalty."""
        return float(self.nll) + self.beta * float(self.kl) + self.penalty


class Cache(NamedTuple):
    """One cache an operation, in the order of the forward pass."""

    normalised: Any
    dropped: Any
    encoder: Any
    encoder_act: Any
    mu: Any
    log_var: Any
    z: Any
    decoder: Any
    decoder_act: Any
    logits: Any
    path: Any
    nll: Any
    kl: Any
    weights: Params


def shapes(n_items: int, hidden: int, latent: int, stochastic: bool = True) -> dict[str, tuple[int, ...]]:
    """w_in (M, H), w_mu and w_log_var (H, Z), w_dec (Z, H), w_out (H, M), and a bias each.

    Without hidden layers, H = 0: w_mu and w_log_var (M, Z), w_out (Z, M).  No w_log_var unless stochastic.
    """
    weights = {"w_in": (n_items, hidden)} if hidden else {}
    weights |= {"w_mu": (hidden or n_items, latent)}
    weights |= {"w_log_var": (hidden or n_items, latent)} if stochastic else {}
    weights |= {"w_dec": (latent, hidden)} if hidden else {}
    weights |= {"w_out": (hidden or latent, n_items)}
    return weights | {name.replace("w_", "b_"): shape[1:] for name, shape in weights.items()}


def init_params(n_items: int, hidden: int, latent: int, form: Form, rng: np.random.Generator) -> Params:
    """Random arrays of `shapes`: Xavier, He before a ReLU; biases near 0 (std .001)."""
    params: Params = {}
    for name, shape in shapes(n_items, hidden, latent, form.stochastic).items():
        if name.startswith("b_"):
            params[name] = initializers.truncated_normal(shape[0], 1e-3, rng)
        else:
            he = name in ("w_in", "w_dec") and form.activation.endswith("relu")
            draw = initializers.he_normal if he else initializers.xavier_uniform
            params[name] = draw(shape[0], shape[1], rng)
    return params


def activation(form: Form, ops: Backend) -> tuple[Callable, Callable]:
    """Forward and backward pass of the hidden layers' activation."""
    name = form.activation.replace("-", "_")
    return getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")


def encode(
    params: Params, x: CSR, form: Form, mask: Mask | Array | None = None, ops: Backend = NUMPY
) -> tuple[Array, Array | None, dict]:
    """Posterior of each row of x (B, M): mu and log_var (B, Z), and the caches.   [eq:encoder]

    `mask` (nnz,) drops clicks; None keeps them all, as serving does.  log_var is None unless stochastic.
    """
    activate, _ = activation(form, ops)
    caches: dict[str, Any] = dict.fromkeys(("normalised", "dropped", "encoder", "encoder_act", "log_var"))
    if form.normalise:
        x, caches["normalised"] = ops.l2_normalise_forward(x)
    if mask is not None:
        data, caches["dropped"] = ops.dropout_forward(x.data, mask, form.keep)
        x = with_data(x, data)
    h, layer = x, ops.sparse_dense_forward
    if "w_in" in params:
        a, caches["encoder"] = layer(x, params["w_in"], params["b_in"])
        h, caches["encoder_act"] = activate(a)
        layer = ops.dense_forward
    mu, caches["mu"] = layer(h, params["w_mu"], params["b_mu"])
    log_var = None
    if form.stochastic:
        log_var, caches["log_var"] = layer(h, params["w_log_var"], params["b_log_var"])
    return mu, log_var, caches


def decode(
    params: Params, z: Array, form: Form, out: Array | None = None, ops: Backend = NUMPY
) -> tuple[Array, dict]:
    """Logits (B, M) of codes z (B, Z), into `out` where given, and the caches.   [eq:decoder]"""
    activate, _ = activation(form, ops)
    caches: dict[str, Any] = dict.fromkeys(("decoder", "decoder_act"))
    h = z
    if "w_dec" in params:
        a, caches["decoder"] = ops.dense_forward(z, params["w_dec"], params["b_dec"])
        h, caches["decoder_act"] = activate(a)
    logits, caches["logits"] = ops.dense_forward(h, params["w_out"], params["b_out"], out=out)
    return logits, caches


def forward(
    params: Params,
    x: CSR,
    form: Form,
    mask: Mask | Array | None,
    eps: Array | None,
    beta: float,
    buffers: Buffers | None = None,
    ops: Backend = NUMPY,
    path: Array | None = None,
) -> tuple[Terms, Cache]:
    """The negative ELBO with a KL weight: nll(x) + beta KL(q(z|x) || N(0, I)) + l2 |w|^2.   [eq:beta-elbo]

    x CSR (B, M), mask (nnz,) or None, eps (B, Z), None unless stochastic  ->  nats, mean over B.
    `path` (B, M) are scores of another model: `gain` (1,) times them is added to the logits.
    Liang et al. 2018, eq. 4 and 5, and for the penalty the authors' code of Mult-DAE.
    """
    mu, log_var, caches = encode(params, x, form, mask, ops)
    z, kl, caches["z"], caches["kl"], caches["path"] = mu, 0.0, None, None, path
    if log_var is not None:
        z, caches["z"] = ops.reparameterise_forward(mu, log_var, eps)
        kl, caches["kl"] = ops.gaussian_kl_forward(mu, log_var)
    out = None if buffers is None else buffers.get("logits", x.shape, z.dtype)
    logits, decoder_caches = decode(params, z, form, out, ops)
    if path is not None:
        logits += params["gain"] * path
    if form.likelihood == "multinomial":
        # The logits are needed no more: their gradient takes their place.
        nll, caches["nll"] = ops.softmax_nll_forward(logits, x, out=logits)
    else:
        nll, caches["nll"] = ops.bernoulli_nll_forward(logits, x)
    weights = {name: w for name, w in params.items() if name.startswith("w_")} if form.l2 else {}
    penalty = form.l2 * losses.squares(*weights.values())
    return Terms(nll, kl, beta, penalty), Cache(**caches, **decoder_caches, weights=weights)


def backward(
    cache: Cache, form: Form, beta: float, buffers: Buffers | None = None, ops: Backend = NUMPY,
    whole: bool = True,
) -> Params:  # fmt: skip
    """Every gradient, by name; of large weights a `Product` unless `whole`.   [eq:beta-elbo-backward]"""
    if form.likelihood == "multinomial":
        d_logits = ops.softmax_nll_backward(1.0, cache.nll)
    else:
        over = None if buffers is None else cache.nll.logits  # in training they are needed no more
        d_logits = ops.bernoulli_nll_backward(1.0, cache.nll, out=over)
    grads: Params = {}
    if cache.path is not None:
        grads["gain"] = np.array([np.vdot(d_logits, cache.path)])  # every logit has the same one
    out = None if buffers is None else buffers.like("d_w_out", cache.logits.w)
    d_h, grads["w_out"], grads["b_out"] = ops.dense_backward(d_logits, cache.logits, out, whole)
    grads |= hidden_backward(d_h, cache, form, beta, buffers, ops, whole)
    for name, w in cache.weights.items():
        grads[name] += 2 * form.l2 * w
    return grads


def hidden_backward(
    d_h: Array, cache: Any, form: Form, beta: float, buffers: Buffers | None = None, ops: Backend = NUMPY,
    whole: bool = True,
) -> Params:  # fmt: skip
    """Gradients below the output layer: of beta KL, and from d_h (B, H) in what that layer reads."""
    _, activate_backward = activation(form, ops)
    grads: Params = {}
    d_z = d_h
    if cache.decoder:
        d_a = activate_backward(d_h, cache.decoder_act)
        d_z, grads["w_dec"], grads["b_dec"] = ops.dense_backward(d_a, cache.decoder)

    heads = {"mu": (d_z, cache.mu)}
    if cache.z:
        # The code meets the loss twice: through the decoder and through the KL. The two gradients add.
        d_mu, d_log_var = ops.reparameterise_backward(d_z, cache.z)
        d_mu_kl, d_log_var_kl = ops.gaussian_kl_backward(beta, cache.kl)
        heads["mu"] = ops.accumulate(d_mu, d_mu_kl), cache.mu
        heads["log_var"] = ops.accumulate(d_log_var, d_log_var_kl), cache.log_var

    # The clicks themselves are data: nothing below the first layer wants a gradient.
    def clicks_layer(name: str, d_y: Array, layer: Any) -> None:
        out = None if buffers is None else buffers.like(f"d_w_{name}", layer.w)
        _, grads[f"w_{name}"], grads[f"b_{name}"] = ops.sparse_dense_backward(d_y, layer, False, out, whole)

    d_below: Any = None
    for name, (d_y, layer) in heads.items():
        if not cache.encoder:
            clicks_layer(name, d_y, layer)
            continue
        d_h_head, grads[f"w_{name}"], grads[f"b_{name}"] = ops.dense_backward(d_y, layer)
        d_below = d_h_head if d_below is None else ops.accumulate(d_below, d_h_head)
    if cache.encoder:
        clicks_layer("in", activate_backward(d_below, cache.encoder_act), cache.encoder)
    return grads


def clicks_backward(d_logits: Array, encoder: dict, decoder: dict, form: Form, ops: Backend = NUMPY) -> CSR:
    """Pull d_logits (B, M) back to the clicks of x, at z = mu, without dropout.   [eq:clicks-backward]

    `encoder` and `decoder` are the caches of `encode` and `decode`.
    """
    _, activate_backward = activation(form, ops)
    d_z, _, _ = ops.dense_backward(d_logits, decoder["logits"])
    if decoder["decoder"]:
        d_z, _, _ = ops.dense_backward(activate_backward(d_z, decoder["decoder_act"]), decoder["decoder"])
    if encoder["encoder"]:
        d_h, _, _ = ops.dense_backward(d_z, encoder["mu"])
        d_x, _, _ = ops.sparse_dense_backward(
            activate_backward(d_h, encoder["encoder_act"]), encoder["encoder"]
        )
    else:
        d_x, _, _ = ops.sparse_dense_backward(d_z, encoder["mu"])
    return ops.l2_normalise_backward(d_x, encoder["normalised"]) if form.normalise else d_x
