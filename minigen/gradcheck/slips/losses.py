"""Slips in the likelihoods and in Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import ops
from minigen.gradcheck.slips.registry import wrong_backward, wrong_forward
from minigen.ops.bernoulli_nll.numpy_bernoulli_nll import BernoulliNLLCache
from minigen.typing import CSR, Array


@wrong_backward("softmax-nll")
def lost_batch(d_loss: float, cache: Any) -> Array:
    """1/B lost: the gradient of a sum beside the value of a mean."""
    return d_loss * len(cache.d_logits) * cache.d_logits


@wrong_backward("softmax-nll")
def batch_twice(d_loss: float, cache: Any) -> Array:
    """1/B taken twice."""
    return d_loss * cache.d_logits / len(cache.d_logits)


def _sum_over_rows_forward(logits: Array, x: CSR) -> Any:
    loss, cache = ops.softmax_nll_forward(logits, x)
    return loss * len(logits), cache


@wrong_backward("softmax-nll", caught_by="softmax_nll_of_equal_logits", forward=_sum_over_rows_forward)
def sum_over_rows(d_loss: float, cache: Any) -> Array:
    """A sum over the batch for the mean, in both passes."""
    return lost_batch(d_loss, cache)


@wrong_backward("softmax-nll")
def ignores_d_loss(d_loss: float, cache: Any) -> Array:
    """d_loss not multiplied in."""
    return cache.d_logits


def _softmax(logits: Array) -> Array:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _keeping_inputs(logits: Array, x: CSR) -> Any:
    return ops.softmax_nll_forward(logits, x)[0], (logits, x.toarray())


@wrong_backward("softmax-nll", forward=_keeping_inputs)
def diagonal_jacobian(d_loss: float, cache: Any) -> Array:
    """x/p times p (1 - p): what is off the diagonal of the Jacobian is missing."""
    logits, x = cache
    return -d_loss * x * (1 - _softmax(logits)) / len(x)


@wrong_backward("softmax-nll", forward=_keeping_inputs)
def one_click(d_loss: float, cache: Any) -> Array:
    """softmax - x for n softmax - x, as if every row held one click."""
    logits, x = cache
    return d_loss * (_softmax(logits) - x) / len(x)


def _unshifted_forward(logits: Array, x: CSR) -> Any:
    e = np.exp(logits)
    log_p = np.log(e / e.sum(axis=1, keepdims=True))
    return -float((x.toarray() * log_p).sum()) / len(logits), (logits, x.toarray())


@wrong_backward("softmax-nll", caught_by="softmax_nll_survives_800", forward=_unshifted_forward)
def no_shift(d_loss: float, cache: Any) -> Array:
    """exp of the logits as they are, without the log-sum-exp shift."""
    logits, x = cache
    return d_loss * (x.sum(axis=1, keepdims=True) * _softmax(logits) - x) / len(x)


def _clipped_forward(logits: Array, x: CSR) -> Any:
    log_p = np.log(np.maximum(_softmax(logits), 1e-12))
    return -float((x.toarray() * log_p).sum()) / len(logits), (logits, x.toarray())


@wrong_backward("softmax-nll", caught_by="softmax_nll_survives_800", forward=_clipped_forward)
def clipped(d_loss: float, cache: Any) -> Array:
    """log max(p, 1e-12) for the logarithm of a softmax."""
    return no_shift(d_loss, cache)


@wrong_backward("bernoulli-nll")
def no_sigmoid(d_loss: float, cache: Any) -> Array:
    """logits - x for sigmoid(logits) - x."""
    return d_loss * (cache.logits - _dense(cache.x)) / len(cache.logits)


@wrong_forward("bernoulli-nll", caught_by="bernoulli_nll_survives_800")
def clipped_bits(logits: Array, x: Array | CSR) -> Any:
    """Probabilities clipped at 1e-7."""
    p, bits = np.clip(ops.sigmoid(logits), 1e-7, 1 - 1e-7), _dense(x)
    nll = -(bits * np.log(p) + (1 - bits) * np.log(1 - p)).sum()
    return float(nll) / len(logits), BernoulliNLLCache(logits, x)


def _dense(x: Array | CSR) -> Array:
    return x if isinstance(x, np.ndarray) else x.toarray()


def _mean_over_bits_forward(logits: Array, x: Array | CSR) -> Any:
    nll, cache = ops.bernoulli_nll_forward(logits, x)
    return nll / x.shape[1], cache


@wrong_backward(
    "bernoulli-nll", caught_by="bernoulli_nll_is_the_log_probability", forward=_mean_over_bits_forward
)
def mean_over_bits(d_loss: float, cache: Any) -> Array:
    """A mean over D for the sum, in both passes."""
    return ops.bernoulli_nll_backward(d_loss / cache.x.shape[1], cache)


def _moments(d_w: Array, state: Any) -> None:
    state.t += 1
    state.m = 0.9 * state.m + 0.1 * d_w
    state.v = 0.999 * state.v + 0.001 * d_w**2


@wrong_forward("adam", caught_by="adam_follows_the_paper")
def uncorrected(w: Array, d_w: Array, state: Any, lr: float) -> None:
    """No bias correction: the first steps are too long."""
    _moments(d_w, state)
    w -= lr * state.m / (np.sqrt(state.v) + 1e-8)


@wrong_forward("adam", caught_by="adam_follows_the_paper")
def eps_under_the_root(w: Array, d_w: Array, state: Any, lr: float) -> None:
    """sqrt(v + eps) for sqrt(v) + eps."""
    _moments(d_w, state)
    m_hat, v_hat = state.m / (1 - 0.9**state.t), state.v / (1 - 0.999**state.t)
    w -= lr * m_hat / np.sqrt(v_hat + 1e-8)
