"""Slips of the sampled softmax: in what a draw counts for, and in where its gradient goes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.gradcheck.slips.registry import wrong_cache, wrong_forward


@wrong_cache("mult-vae-sampled")
def negatives_without_gradient(cache: Any) -> Any:
    """Only the clicked items are pulled: those drawn beside them stay where they are."""
    drawn = np.bincount(cache.encoder.x.indices, minlength=cache.encoder.x.shape[1]) == 0
    return cache._replace(nll=cache.nll._replace(d_logits=np.where(drawn, 0, cache.nll.d_logits)))


@wrong_forward("sampled-softmax", caught_by="partition_sum_is_right_on_average")
def no_log_q(proposal: Any, x: Any, n: int, rng: np.random.Generator) -> Any:
    """No log-q correction: a popular item that is drawn often counts as one of many like it."""
    drawn = proposal.draw(x, n, rng)
    return drawn._replace(log_weight=0 * drawn.log_weight)


@wrong_forward("sampled-softmax", caught_by="partition_sum_is_right_on_average")
def repeats_lost(proposal: Any, x: Any, n: int, rng: np.random.Generator) -> Any:
    """An item that is drawn twice counts once."""
    drawn = proposal.draw(x, n, rng)
    once = np.where(drawn.log_weight == 0, 0, -np.log(n * proposal.q[drawn.items]))
    return drawn._replace(log_weight=once)
