"""Does the pair compute the maths it is named after?  A wrong formula with its right derivative fails here.

Each check takes (forward, backward) and raises GradientError with what was wanted and what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigen.gradcheck.differences import GradientError
from minigen.gradcheck.explain import explain
from minigen.ops.adam.numpy_adam import AdamState
from minigen.typing import Array

Check = Callable[[Any, Any], None]
_SIGMAS = 5  # standard errors that a seeded estimate may be off


def want(what: str, got: Any, wanted: Any, tolerance: Any = 1e-12, batch: int | None = None) -> None:
    """Raise GradientError with the first entry that is off, both values, and what their ratio suggests.

    `batch` is B, where a lost or doubled 1/B is to be recognised.
    """
    got, wanted = np.asarray(got, dtype=float), np.asarray(wanted, dtype=float)
    if got.shape != wanted.shape and got.ndim and wanted.ndim:
        raise GradientError(f"{what}: want shape {wanted.shape}, got {got.shape}")
    off = np.abs(got - wanted)
    bad = ~(off <= tolerance * np.ones_like(off))
    if bad.any():
        i = np.unravel_index(np.argmax(bad), bad.shape)
        g, w = (float(np.broadcast_to(a, bad.shape)[i]) for a in (got, wanted))
        at = f"[{', '.join(map(str, i))}]" if bad.size > 1 else ""
        words = explain(g / w, batch) if w and np.isfinite(g) else ""
        raise GradientError(f"{what}{at}: want {w:.6g}, got {g:.6g}" + (f": {words}" if words else ""))


def _rows(x: Sequence[Sequence[float]]) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix(np.array(x, dtype=float))


def dense_is_the_sum(forward: Any, backward: Any) -> None:
    """y[0, 0] = sum_i x[0, i] w[i, 0] + b[0], by hand."""
    x, w, b = (
        np.array([[1.0, 2.0]]),
        np.array([[3.0, 5.0, 7.0], [11.0, 13.0, 17.0]]),
        np.array([1.0, 2.0, 3.0]),
    )
    want("x w + b", forward(x, w, b)[0], [[26.0, 33.0, 44.0]])


def sparse_equals_dense(forward: Any, backward: Any) -> None:
    """Weights of the clicks count, an empty row gives b, and w of an item without clicks gets no gradient."""
    x, w, b = _rows([[0, 2, 0.5], [0, 0, 0]]), np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([7.0, 8])
    y, cache = forward(x, w, b)
    want("x w + b", y, [[15.5, 19], [7, 8]])
    want("d_w", backward(np.array([[1.0, -1], [4, 4]]), cache)[1], [[0, 0], [2, -2], [0.5, -0.5]])


def tanh_is_tanh(forward: Any, backward: Any) -> None:
    """tanh(x) = (e^x - e^-x) / (e^x + e^-x), and 1 at 800."""
    want("tanh(1)", forward(np.array([1.0]))[0], [(np.e - 1 / np.e) / (np.e + 1 / np.e)])
    want("tanh(800)", forward(np.array([800.0, -800.0]))[0], [1, -1])


def relu_is_relu(forward: Any, backward: Any) -> None:
    """max(x, 0); a closed unit passes nothing back."""
    y, cache = forward(np.array([-3.0, 2.0]))
    want("relu", y, [0, 2])
    want("d_x", backward(np.array([5.0, 7.0]), cache), [0, 7])


def sigmoid_survives_800(forward: Any, backward: Any) -> None:
    """1 / (1 + e^-x), finite at +-800."""
    want("sigmoid", forward(np.array([-800.0, 0, np.log(3), 800]))[0], [0, 0.5, 0.75, 1])


def dropout_keeps_the_mean(forward: Any, backward: Any) -> None:
    """E y = x over masks."""
    n, keep = 200_000, 0.3
    x = np.full(n, 2.0)
    mask = np.random.default_rng(0).random(n) < keep
    error = 2 * np.sqrt((1 - keep) / keep / n)
    want("mean of dropout(2)", forward(x, mask, keep)[0].mean(), 2, _SIGMAS * error)


def rows_have_length_1(forward: Any, backward: Any) -> None:
    """Each row keeps its direction and gets length 1; an empty row stays empty."""
    want(
        "rows",
        forward(_rows([[3, 0, 4], [0, 0, 0], [0, 2, 0]]))[0].toarray(),
        [[0.6, 0, 0.8], [0] * 3, [0, 1, 0]],
    )


def sampler_has_the_variance(forward: Any, backward: Any) -> None:
    """z ~ N(mu, exp(log_var)): mean and variance of many draws."""
    n, mu, log_var = 100_000, np.array([0.5, -1.0, 2.0]), np.array([-2.0, 0.3, 1.4])
    eps = np.random.default_rng(0).standard_normal((n, 3))
    z = forward(np.tile(mu, (n, 1)), np.tile(log_var, (n, 1)), eps)[0]
    variance = np.exp(log_var)
    want("variance of z", z.var(axis=0), variance, _SIGMAS * variance * np.sqrt(2 / n))
    want("mean of z", z.mean(axis=0), mu, _SIGMAS * np.sqrt(variance / n))


def kl_is_0_at_the_prior(forward: Any, backward: Any) -> None:
    """KL(p || p) = 0, with gradient 0, and KL > 0 elsewhere."""
    zero = np.zeros((4, 3))
    kl, cache = forward(zero, zero)
    want("KL at the prior", kl, 0)
    want("its gradients", np.stack(backward(1.0, cache)), np.zeros((2, 4, 3)))
    for mu, log_var in ((zero + 0.01, zero), (zero, zero + 0.01), (zero, zero - 0.01)):
        if not forward(mu, log_var)[0] > 0:
            raise GradientError(f"KL off the prior: want above 0, got {forward(mu, log_var)[0]:.6g}")


def kl_equals_monte_carlo(forward: Any, backward: Any) -> None:
    """KL = E_q [log q(z) - log p(z)], estimated from draws: sum over Z, mean over B."""
    mu, log_var = (
        np.array([[0.4, -1.0, 0.2], [1.5, 0.0, -0.3]]),
        np.array([[0.7, -1.2, 0.1], [-0.4, 0.9, -2.0]]),
    )
    eps = np.random.default_rng(0).standard_normal((100_000, 2, 3))
    z = mu + np.exp(log_var / 2) * eps
    log_ratio = (z * z - eps * eps - log_var).sum(axis=2).mean(axis=1) / 2
    want("KL", forward(mu, log_var)[0], log_ratio.mean(), _SIGMAS * log_ratio.std() / np.sqrt(len(eps)))


def softmax_nll_survives_800(forward: Any, backward: Any) -> None:
    """Finite and right at logits of +-800: a click on the item at -800 costs 1600 nats."""
    logits = np.array([[800.0, -800.0, 0.0]])
    for x, nats in (([[0, 1, 0]], 1600), ([[1, 0, 0]], 0), ([[0, 0, 2]], 1600)):
        want("loss at +-800", forward(logits.copy(), _rows(x))[0], nats, 1e-9)


def softmax_nll_of_equal_logits(forward: Any, backward: Any) -> None:
    """Equal logits over M items: log M a click, sum over items, mean over B."""
    logits, x = np.full((2, 5), 0.7), _rows([[1, 0, 0.5, 0, 0], [0, 0, 0, 0, 3]])
    want("loss", forward(logits, x)[0], 4.5 * np.log(5) / 2)


def softmax_gradient_sums_to_0(forward: Any, backward: Any) -> None:
    """Adding one number to all logits changes nothing, so each row of d_logits sums to 0."""
    logits, x = np.array([[1.0, -2, 0.5], [0.3, 0, 4]]), _rows([[1, 0, 2], [0, 1, 0]])
    want("row sums", backward(1.0, forward(logits, x)[1]).sum(axis=1), [0, 0])


def half_of_it_is_the_shares(forward: Any, backward: Any) -> None:
    """e^y in proportion to s / sum s and 1 / M, half each; a row without a score above 0 is flat."""
    y, _ = forward(np.array([[3.0, -7.0, 1.0, 0.0], [-1.0, 0.0, -2.0, 0.0]]))
    p = np.exp(y)
    want("shares", p / p.sum(axis=1, keepdims=True), [[0.5, 0.125, 0.25, 0.125], [0.25] * 4])


def partition_sum_is_right_on_average(draw: Any, backward: Any) -> None:
    """E sum over drawn items of e^(logit + log weight) = sum over all items of e^logit."""
    from minigen.recommender.sampled import Proposal

    rng, logits = np.random.default_rng(0), np.arange(6) / 2
    x = _rows([[1, 0, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]])
    proposal = Proposal(np.array([9, 0, 3, 4, 0, 1]))
    draws = [draw(proposal, x, 4, rng) for _ in range(2000)]
    sums = np.array([np.exp(logits[d.items] + d.log_weight).sum() for d in draws])
    want("partition sum", sums.mean(), np.exp(logits).sum(), _SIGMAS * sums.std() / np.sqrt(sums.size))


def bernoulli_nll_survives_800(forward: Any, backward: Any) -> None:
    """Finite and right at logits of +-800."""
    want("loss at +-800", forward(np.array([[800.0, -800, 800, -800]]), np.array([[1.0, 0, 0, 1]]))[0], 1600)


def bernoulli_nll_is_the_log_probability(forward: Any, backward: Any) -> None:
    """-log p for a bit 1, -log(1 - p) for a bit 0: sum over D, mean over B."""
    p = np.array([[0.25, 0.5], [0.9, 0.2]])
    wanted = -(np.log(0.25) + np.log(0.5) + np.log(0.1) + np.log(0.2)) / 2
    want("loss", forward(np.log(p / (1 - p)), np.array([[1.0, 0], [0, 1]]))[0], wanted)


def adam_follows_the_paper(step: Any, backward: Any) -> None:
    """Ten steps against algorithm 1 of Kingma & Ba, line by line; the first moves by lr sign(d_w)."""
    rng = np.random.default_rng(0)
    start = rng.standard_normal((4, 3))
    w, state, plain = start.copy(), AdamState.zeros_like(start), start.copy()
    m = v = np.zeros_like(start)
    for t in range(1, 11):
        d_w: Array = rng.standard_normal((4, 3)) * 1e-6  # small, so that the place of eps shows
        step(w, d_w, state, 0.01)
        m, v = 0.9 * m + 0.1 * d_w, 0.999 * v + 0.001 * d_w**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        plain = plain - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
        want(f"w after step {t}", w, plain)
