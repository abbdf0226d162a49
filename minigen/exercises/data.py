"""Chapter 09: data and evaluation."""

from __future__ import annotations

import numpy as np

from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError
from minigen.gradcheck.meaning import want


@exercise(1)
def the_best_list(ndcg_by_hand: Answer) -> None:
    """NDCG where fewer items are hidden than the list is long, and more."""
    from minigen.evaluation.metrics import ndcg

    hits = np.random.default_rng(0).random((200, 10)) < 0.2
    n_target = hits.sum(axis=1) + np.random.default_rng(1).integers(1, 12, 200)
    got, right = np.asarray(ndcg_by_hand(hits, n_target)), ndcg(hits, n_target)
    if got.shape == right.shape and not np.allclose(got, right):
        user = int(np.argmax(np.abs(got - right)))
        raise GradientError(
            f"a user with {n_target[user]} hidden items gets {got[user]:.3f}, "
            f"{got[user] / right[user]:.2f} times what it should be"
        )
    want("ndcg", got, right, 1e-9)


@exercise(2)
def once_is_not_enough(core_of: Answer) -> None:
    """The largest set of rows and columns in which each has its minimum."""
    from minigen.data.matrix import core_mask

    x = (np.random.default_rng(5).random((60, 40)) < 0.12).astype(int)
    rows, columns = core_of(x, 4, 5)
    kept = x[rows][:, columns]
    if not kept.size:
        raise GradientError("nothing is left, and something should be")
    for what, ones, least in (("row", kept.sum(axis=1).min(), 4), ("column", kept.sum(axis=0).min(), 5)):
        if ones < least:
            raise GradientError(f"a kept {what} has {ones} ones, want {least}")
    entries = np.argwhere(x)
    largest = core_mask(entries[:, 0], entries[:, 1], 4, 5).sum()
    if kept.sum() != largest:
        raise GradientError(f"{kept.sum()} ones are left, the largest core has {largest}")


@exercise(3)
def a_split_that_does_not_leak(hide: Answer) -> None:
    """No pair of user and item both hidden and shown."""
    users, items = np.random.default_rng(2).integers(0, [[40], [30]], (2, 4000))
    hidden = hide(users, items, 0.3, np.random.default_rng(3))
    pair = users * 30 + items
    both = np.intersect1d(pair[hidden], pair[~hidden])
    if both.size:
        raise GradientError(f"{both.size} pairs are hidden and shown, such as user {both[0] // 30}'s")
    if not 0.25 < hidden.mean() < 0.35:
        raise GradientError(f"{hidden.mean():.0%} of the events are hidden, want 30%")


@exercise(4)
def the_error_of_a_difference(se_of_difference: Answer) -> None:
    """Two models on the same users, against the paired bootstrap."""
    from minigen.evaluation.bootstrap import paired_bootstrap

    rng = np.random.default_rng(4)
    shared = rng.beta(1, 2, 400)  # some users are hard for every model
    a, b = (np.clip(shared + 0.05 * rng.standard_normal(400), 0, 1) for _ in range(2))
    got, right = float(se_of_difference(a, b)), paired_bootstrap(a, b).se
    if abs(got / right - 1) > 0.05:
        raise GradientError(f"{got:.4f} is {got / right:.1f} times the bootstrap's {right:.4f}")
