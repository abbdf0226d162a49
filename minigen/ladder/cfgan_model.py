"""CFGAN's two players on rows of clicks: losses in logits, and every gradient by hand, G's through D.

G completes a row x to y = G(x).  D is shown the row as a condition, and beside it either the row itself or
what G made of it, seen through a mask: the clicks, and some of the other places, which G should leave at 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minigen.backends import NUMPY, Backend
from minigen.initializers import xavier_uniform
from minigen.losses import squares
from minigen.ops import bernoulli_nll_backward, bernoulli_nll_forward
from minigen.ops.bernoulli_nll.numpy_bernoulli_nll import BernoulliNLLCache
from minigen.ops.sparse import row_of_each
from minigen.recommender.autoencoder import Buffers
from minigen.typing import CSR, Array, Params

_BIAS = 0.01  # biases start within it


class Form(NamedTuple):
    """Weights of the terms of both losses; L2 terms are l2 / 2 times a sum of squares, biases among them."""

    gan: float = 1.0  # of D's verdict; 0: there is no adversary
    zeros: float = 0.03  # of the squares where G should say 0
    clicks: float = 0.0  # of the squared distance from 1 at the clicks: what an autoencoder would have
    l2_g: float = 1e-3
    l2_d: float = 0.0


class GeneratorPass(NamedTuple):
    """The caches of G: first layer, noise z (B, Z) or None, sigmoid, last layer."""

    first: Any
    z: Array | None
    h: Array
    last: Any


class Verdict(NamedTuple):
    """The caches of D: the condition, the data beside it, its weights, sigmoid, last layer."""

    condition: CSR
    data: Array | CSR
    w_data: Array
    h: Array
    last: Any


class DiscriminatorCache(NamedTuple):
    """One pass over real rows and one over fakes, the parameters, and the terms' weights."""

    real: Verdict
    fake: Verdict
    nll_real: BernoulliNLLCache
    nll_fake: BernoulliNLLCache
    d: Params
    form: Form


class GeneratorCache(NamedTuple):
    """G's pass, D's after it where there is one, what the terms need, and G's parameters."""

    generator: GeneratorPass
    verdict: Verdict | None
    nll: BernoulliNLLCache | None
    mask: Array | None
    loud: Array  # (B, N): y where it should be 0, else 0
    short: Array | None  # (nnz,): y - 1 at the clicks, where that is asked about
    g: Params
    form: Form


def shapes(n: int, hidden: int, hidden_d: int, noise: int = 0) -> dict[str, tuple[int, ...]]:
    """Shapes of both players' parameters, for rows of n places; `g.w_noise` where there is noise."""
    g = {"w_in": (n, hidden), "b_in": (hidden,), "w_out": (hidden, n), "b_out": (n,)}
    d = {"w_condition": (n, hidden_d), "w_data": (n, hidden_d), "b_in": (hidden_d,)}
    d |= {"w_out": (hidden_d, 1), "b_out": (1,)}
    if noise:
        g["w_noise"] = (noise, hidden)
    return {f"{player}.{k}": v for player, part in (("g", g), ("d", d)) for k, v in part.items()}


def init_params(n: int, hidden: int, hidden_d: int, noise: int, rng: np.random.Generator) -> Params:
    """Xavier weights, each layer over all that comes in, and biases from U(-.01, .01)."""
    first_g = xavier_uniform(n + noise, hidden, rng)
    first_d = xavier_uniform(2 * n, hidden_d, rng)
    params = {"g.w_in": first_g[:n], "g.w_noise": first_g[n:], "g.w_out": xavier_uniform(hidden, n, rng)}
    params |= {"d.w_condition": first_d[:n], "d.w_data": first_d[n:]}
    params["d.w_out"] = xavier_uniform(hidden_d, 1, rng)
    wanted = shapes(n, hidden, hidden_d, noise)
    for name, shape in wanted.items():
        if len(shape) == 1:
            params[name] = rng.uniform(-_BIAS, _BIAS, shape).astype(np.float32)
    return {name: params[name].copy() for name in wanted}


def player(params: Params, name: str) -> Params:
    """The arrays of the player "g" or "d", without the prefix."""
    return {key[2:]: array for key, array in params.items() if key.startswith(f"{name}.")}


def generate(g: Params, x: CSR, z: Array | None = None, ops: Backend = NUMPY) -> tuple[Array, GeneratorPass]:
    """y = sigmoid(x w_in + z w_noise + b_in) w_out + b_out.   [eq:cfgan-generate]

    x CSR (B, N), z (B, Z) or None  ->  (B, N), unbounded: near 1 where G would have a click.
    """
    a, first = ops.sparse_dense_forward(x, g["w_in"], g["b_in"])
    if z is not None:
        a = a + z @ g["w_noise"]
    h, _ = ops.sigmoid_forward(a)
    y, last = ops.dense_forward(h, g["w_out"], g["b_out"])
    return y, GeneratorPass(first, z, h, last)


def told(d: Params, condition: CSR, ops: Backend = NUMPY) -> Array:
    """What D knows before it sees any data: c w_condition + b_in, (B, H)."""
    return ops.sparse_dense_forward(condition, d["w_condition"], d["b_in"])[0]


def judge(
    d: Params, condition: CSR, data: Array | CSR, known: Array, ops: Backend = NUMPY
) -> tuple[Array, Verdict]:
    """Logits (B, 1) that `data` (B, N), dense or CSR, is the row `condition` (B, N).   [eq:cfgan-judge]

    The first layer of D sees both side by side: sigmoid(c w_condition + x w_data + b_in) w_out + b_out.
    `known` (B, H) is what `told` says of the condition: it serves many kinds of data.
    """
    a = data @ d["w_data"]
    a += known
    h, _ = ops.sigmoid_forward(a)
    logits, last = ops.dense_forward(h, d["w_out"], d["b_out"])
    return logits, Verdict(condition, data, d["w_data"], h, last)


def discriminator_forward(
    d: Params, x: CSR, fake: Array, form: Form, ops: Backend = NUMPY
) -> tuple[float, DiscriminatorCache]:
    """-mean log D(x|x) - mean log(1 - D(fake|x)) + l2/2 |d|^2, in nats.   [eq:cfgan-discriminator]

    x CSR (B, N), fake (B, N) is G's row already masked.  Chae et al. 2018, eq. 4.
    """
    known = told(d, x, ops)
    on_real, real = judge(d, x, x, known, ops)
    on_fake, faked = judge(d, x, fake, known, ops)
    real_nll, nll_real = bernoulli_nll_forward(on_real, 0 * on_real + 1)
    fake_nll, nll_fake = bernoulli_nll_forward(on_fake, 0 * on_fake)
    loss = real_nll + fake_nll + _l2(d, form.l2_d)
    return loss, DiscriminatorCache(real, faked, nll_real, nll_fake, d, form)


def discriminator_backward(d_loss: float, cache: DiscriminatorCache, ops: Backend = NUMPY) -> Params:
    """The gradient of D in every parameter: on real plus on fake.   [eq:cfgan-discriminator-backward]"""
    d_real, grads = _judge_backward(bernoulli_nll_backward(d_loss, cache.nll_real), cache.real, ops)
    d_fake, on_fake = _judge_backward(bernoulli_nll_backward(d_loss, cache.nll_fake), cache.fake, ops)
    for name, grad in on_fake.items():
        grads[name] += grad
    x = cache.real.condition
    grads["w_condition"] = x.T @ (d_real + d_fake)  # both were shown the same rows
    grads["w_data"] = cache.fake.data.T @ d_fake + x.T @ d_real
    _add_l2(grads, cache.d, d_loss * cache.form.l2_d, None)
    return grads


def generator_forward(
    g: Params, d: Params, x: CSR, mask: Array | None, zeros: Array | None, form: Form,
    z: Array | None = None, ops: Backend = NUMPY, known: Array | None = None,
) -> tuple[float, GeneratorCache]:  # fmt: skip
    """What G minimises, through D, in nats and squares.   [eq:cfgan-generator]

        gan mean -log D(y * mask | x)  +  zeros mean sum_{i in zeros} y_i^2
            +  clicks mean sum_{i in x} (y_i - 1)^2  +  l2_g/2 |g|^2,   y = G(x, z).

    mask, zeros (B, N) of 0 and 1: what D sees of y, and where y should be 0; None: all, and nowhere.
    `known` (B, H) is what `told` says of x, if somebody has asked already: D does not move meanwhile.
    The third term is no part of CFGAN: it may stand in for the first.  Chae et al. 2018, eq. 5, 8 and 10.
    """
    y, generator = generate(g, x, z, ops)
    loud = 0 * y if zeros is None else y * zeros
    squares, short = form.zeros * np.sum(loud * y), None
    if form.clicks:
        short = y[row_of_each(x), x.indices] - 1
        squares += form.clicks * np.sum(short * short)
    loss, verdict, nll = float(squares) / len(y) + _l2(g, form.l2_g), None, None
    if form.gan:
        seen, known = y if mask is None else y * mask, told(d, x, ops) if known is None else known
        logits, verdict = judge(d, x, seen, known, ops)
        of_fakes, nll = bernoulli_nll_forward(logits, 0 * logits + 1)
        loss += form.gan * of_fakes
    return loss, GeneratorCache(generator, verdict, nll, mask, loud, short, g, form)


def generator_backward(
    d_loss: float, cache: GeneratorCache, buffers: Buffers | None = None, ops: Backend = NUMPY
) -> Params:
    """The gradient of every parameter of G, through D.   [eq:cfgan-generator-backward]"""
    form, generator, x = cache.form, cache.generator, cache.generator.first.x
    scale = 2 * d_loss / x.shape[0]
    d_y = scale * form.zeros * cache.loud
    if cache.short is not None:
        d_y[row_of_each(x), x.indices] += scale * form.clicks * cache.short
    if cache.verdict is not None and cache.nll is not None:
        # D's own gradients are dropped: D does not move.
        d_a, _ = _judge_backward(bernoulli_nll_backward(d_loss * form.gan, cache.nll), cache.verdict, ops)
        d_seen = (cache.verdict.w_data @ d_a.T).T  # a few rows: BLAS is twice as fast this way round
        if cache.mask is not None:
            d_seen *= cache.mask
        d_y += d_seen
    grads: Params = {}

    def room(name: str) -> Array | None:
        w = cache.g[name]
        return None if buffers is None else buffers.get(f"g.{name}", (w.shape[0], w.shape[1]), w.dtype)

    d_h, grads["w_out"], grads["b_out"] = ops.dense_backward(d_y, generator.last, out=room("w_out"))
    d_a = ops.sigmoid_backward(d_h, generator.h)
    _, grads["w_in"], grads["b_in"] = ops.sparse_dense_backward(d_a, generator.first, False, room("w_in"))
    if generator.z is not None:
        grads["w_noise"] = generator.z.T @ d_a
    _add_l2(grads, cache.g, d_loss * form.l2_g, buffers)
    return grads


def clicks_backward(d_y: Array, generator: GeneratorPass, ops: Backend = NUMPY) -> CSR:
    """Pull d_y (B, N) back to the clicks of x.   [eq:cfgan-clicks]"""
    d_h, _, _ = ops.dense_backward(d_y, generator.last)
    d_x, _, _ = ops.sparse_dense_backward(ops.sigmoid_backward(d_h, generator.h), generator.first)
    clicks: CSR = d_x
    return clicks


def _judge_backward(d_logits: Array, cache: Verdict, ops: Backend) -> tuple[Array, Params]:
    """d_a (B, H) of D's first layer before its sigmoid, and the gradients above that layer's weights."""
    d_h, d_w_out, d_b_out = ops.dense_backward(d_logits, cache.last)
    d_a = ops.sigmoid_backward(d_h, cache.h)
    return d_a, {"b_in": d_a.sum(axis=0), "w_out": d_w_out, "b_out": d_b_out}


def _l2(params: Params, l2: float) -> float:
    return l2 / 2 * squares(*params.values()) if l2 else 0.0


def _add_l2(grads: Params, params: Params, l2: float, buffers: Buffers | None) -> None:
    for name, w in params.items() if l2 else ():
        out = buffers.get("l2", (w.size, 1), w.dtype).reshape(w.shape) if buffers else None
        grads[name] += np.multiply(w, l2, out=out)
