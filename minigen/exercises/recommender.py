"""Chapter 10: the recommendation example."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minigen import ops
from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError, assert_gradients


@exercise(1)
def the_two_paths_of_the_code(code_gradients: Answer) -> None:
    """Through the sample, and through the KL."""
    d_z, eps = np.random.default_rng(1).standard_normal((2, 7, 3))

    def forward(mu: np.ndarray, log_var: np.ndarray) -> tuple[float, Any]:
        z, _ = ops.reparameterise_forward(mu, log_var, eps)
        return float((z * d_z).sum()) + 0.3 * ops.gaussian_kl_forward(mu, log_var)[0], (mu, log_var)

    def backward(d_loss: float, cache: Any) -> tuple[np.ndarray, ...]:
        return tuple(d_loss * grad for grad in code_gradients(d_z, *cache, eps, 0.3))

    assert_gradients(forward, backward, tuple(np.random.default_rng(2).standard_normal((2, 7, 3))))


@exercise(2)
def a_customer_with_many_purchases(d_logits_by_hand: Answer) -> None:
    """The slope of the multinomial loss where a row holds many purchases."""
    from scipy.sparse import csr_matrix

    x = np.random.default_rng(1).integers(0, 3, (5, 4)).astype(float)

    def forward(logits: np.ndarray) -> tuple[float, np.ndarray]:
        return ops.softmax_nll_forward(logits, csr_matrix(x))[0], logits

    def backward(d_loss: float, logits: np.ndarray) -> np.ndarray:
        return d_loss * d_logits_by_hand(logits, x)

    assert_gradients(forward, backward, [np.random.default_rng(2).standard_normal((5, 4))])


@exercise(3)
def a_choice_that_does_not_peek(choose_l2: Answer) -> None:
    """The best l2 on the held-out people for choosing, with no test customers to look at."""
    from minigen.data import HeldOut, protocol_split
    from minigen.evaluation.evaluate import evaluate
    from minigen.recommender import EASE

    split = protocol_split("online-retail", seed=0)
    popular = np.sort(np.argsort(-np.bincount(split.train.indices, minlength=len(split.items)))[:300])
    held: Any = split.validation
    nobody: Any = None
    small: Any = replace(
        split,
        train=split.train[:, popular],
        validation=HeldOut(held.fold_in[:, popular], held.target[:, popular], held.users),
        test=nobody,
    )

    def quality(l2: float) -> float:
        return evaluate(EASE(l2).fit(small.train), small.validation).mean("ndcg@100")

    candidates = [1.0, 30.0, 1e5]
    try:
        chosen = choose_l2(small, candidates)
    except AttributeError:
        raise GradientError("it looks at split.test, which is not there to be chosen by") from None
    got, best = quality(chosen), max(map(quality, candidates))
    if got != best:
        raise GradientError(f"validation NDCG@100 is {got:.4f} with your choice, {best:.4f} with the best")
