"""Slips of several behaviours: heads that are forgotten, and weights that are not what they were."""

from __future__ import annotations

from typing import Any

from minigen.gradcheck.catalogue import Quantity
from minigen.gradcheck.slips.registry import wrong_cache, wrong_quantity


@wrong_cache("behaviour-vae")
def last_head_alone(cache: Any) -> Any:
    """Only the last head sends a gradient into the code: the others' d_h is written over, not added."""
    heads = [
        head._replace(logits=head.logits._replace(w=0 * head.logits.w)) if n + 1 < len(cache.heads) else head
        for n, head in enumerate(cache.heads)
    ]
    return cache._replace(heads=heads)


@wrong_cache("behaviour-vae")
def weights_left_out(cache: Any) -> Any:
    """The weights are in the loss, and the gradient counts every head as 1."""
    return cache._replace(heads=[head._replace(weight=1.0) for head in cache.heads])


@wrong_cache("behaviour-vae-weighted")
def weights_in_another_order(cache: Any) -> Any:
    """A head left out moves the weights of those after it by one place."""
    weights = [head.weight for head in cache.heads]
    heads = [head._replace(weight=w) for head, w in zip(cache.heads, weights[1:] + weights[:1])]
    return cache._replace(heads=heads)


@wrong_quantity("behaviour-vae", caught_by="loss_in_plain_words")
def sum_of_costs(right: Quantity) -> Quantity:
    """The plain sum of the costs in loss and gradient, where they should weigh the same."""

    def forward(*arrays: Any) -> Any:
        loss, cache = right.forward(*arrays)
        heads = [head._replace(weight=1.0) for head in cache.heads]
        weighted = sum(head.weight * head.cost for head in cache.heads)
        return loss - weighted + sum(head.cost for head in heads), cache._replace(heads=heads)

    return right._replace(forward=forward)
