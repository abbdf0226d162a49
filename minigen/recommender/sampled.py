"""Sampled softmax: a step sees the items of its batch and a draw of the others, however large the catalogue.

The step itself is that of `autoencoder` on the small catalogue of these items: no formula changes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen.ops.sparse import Lines
from minigen.optimizers import Adam
from minigen.typing import CSR, Array, Params

_PART = 2**24  # clicks counted at a time


class Catalogue(NamedTuple):
    """The K items of a step, ascending, and the rows x (B, K) over them.

    `clicked` (P,) are the places of the batch's own items among them, `log_weight` (K,) is what the logits
    of the others lack for their share of the partition sum.
    """

    items: NDArray[np.int64]
    x: CSR
    clicked: NDArray[np.int64]
    log_weight: Array


class Proposal:
    """What negatives are drawn from, with replacement: q(i) in proportion to (clicks of i + 1)^power.

    Raises ValueError for an empty catalogue, or a power that is not finite or makes nothing else of clicks.
    """

    def __init__(self, clicks: NDArray[np.integer], power: float = 1.0) -> None:
        if not clicks.size or not np.isfinite(power):
            raise ValueError(f"want items, and a finite power, got {clicks.size} items and power {power}")
        with np.errstate(over="ignore"):
            mass = (clicks.astype(np.float64) + 1) ** power
            total = mass.sum()
        if not 0 < total < np.inf:
            raise ValueError(f"want a power that float64 can hold of these clicks, got {power}")
        self.q = mass / total
        self._up_to = np.cumsum(self.q)

    def draw(self, x: CSR, n: int, rng: np.random.Generator) -> Catalogue:
        """The items that rows x (B, M) hold, and `n` draws among all.   [eq:sampled-softmax]

        The partition sum of a row of logits f is estimated by

            Z^ = sum of e^f_i over items of the batch + sum of c_j e^f_j / (n q_j) over the others drawn,

        c_j the times that j was drawn.  E Z^ = Z for every row: a draw that the batch holds already adds
        nothing, since its item is counted in full.  The mean of log Z^ is below log Z by var(Z^) / 2 Z^2 to
        first order, so that the loss is low by as much.  Bengio & Senécal 2008; Jean et al. 2015, section 3.
        """
        own = np.unique(x.indices)
        places = np.searchsorted(self._up_to, rng.random(n) * self._up_to[-1], side="right")
        drawn, times = np.unique(np.minimum(places, self.q.size - 1), return_counts=True)
        new = np.isin(drawn, own, assume_unique=True, invert=True)
        drawn, times = drawn[new], times[new]
        items = np.concatenate([own, drawn])
        log_weight = np.concatenate([np.zeros(own.size), np.log(times / (n * self.q[drawn]))])
        order = np.argsort(items, kind="stable")
        items, log_weight = items[order].astype(np.int64), log_weight[order].astype(x.data.dtype)
        columns = np.searchsorted(items, x.indices)
        small = type(x)((x.data, columns, x.indptr), shape=(x.shape[0], items.size), copy=False)
        return Catalogue(items, small, np.searchsorted(items, own), log_weight)


def popularity(rows: CSR) -> NDArray[np.int64]:
    """The clicks of each item, (M,); rows on the disk come to memory a part at a time."""
    clicks = np.zeros(rows.shape[1], np.int64)
    for start in range(0, rows.nnz, _PART):
        clicks += np.bincount(rows.indices[start : start + _PART], minlength=clicks.size)
    return clicks


def sample(
    proposal: Proposal, params: Params, adam: Adam, x: CSR, n: int, rng: np.random.Generator
) -> Catalogue:
    """Draw a catalogue for rows x (B, M), and bring what `params` hold of it up to the present step."""
    # The weights of an item lie together, so that a step touches the items it has drawn alone.
    params["w_out"] = np.asfortranarray(params["w_out"])
    drawn = proposal.draw(x, n, rng)
    catch_up(params, adam, drawn.items, drawn.items[drawn.clicked])
    return drawn


def catch_up(params: Params, adam: Adam, items: Any = None, clicked: Any = None) -> None:
    """Let `items` in the decoder, and those `clicked` in the encoder, make up for lost steps; None: all."""
    for name in _clicks_layers(params):
        adam.catch_up(name, params[name], clicked)
    adam.catch_up("w_out", params["w_out"], items, axis=1)
    adam.catch_up("b_out", params["b_out"], items)


def take(params: Params, catalogue: Catalogue) -> Params:
    """The parameters of the small catalogue; the biases of its items carry `log_weight`."""
    items = catalogue.items
    small = params | {name: params[name][items] for name in _clicks_layers(params)}
    small["w_out"] = params["w_out"].T[items].T
    small["b_out"] = params["b_out"][items] + catalogue.log_weight
    return small


def give(grads: Params, catalogue: Catalogue) -> dict[str, Any]:
    """Gradients in the small catalogue as gradients in the whole one: `Lines` where there are items."""
    items, own = catalogue.items, catalogue.clicked
    whole: dict[str, Any] = dict(grads)
    for name in _clicks_layers(grads):  # an item that nobody in the batch has sends nothing into the code
        whole[name] = Lines(items[own], grads[name][own])
    whole["w_out"] = Lines(items, grads["w_out"], axis=1)
    whole["b_out"] = Lines(items, grads["b_out"])
    return whole


def _clicks_layers(params: Params) -> list[str]:
    """Names of the weights that the clicks are multiplied by, a row an item."""
    return [name for name in (("w_in",) if "w_in" in params else ("w_mu", "w_log_var")) if name in params]
