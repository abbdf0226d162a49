"""A map of the code: products that one code serves lie side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from scipy.sparse import csr_matrix, identity

from minigen.plots.style import BLUE, GREY, ORANGE, new_figure, short
from minigen.recommender.trained import AutoencoderRecommender
from minigen.typing import Array

_LABELS = 22
_SIDES = (((7, 0), "left"), ((-8, 0), "right"), ((0, 9), "center"), ((0, -10), "center"))  # tried in turn
_HALO = withStroke(linewidth=2, foreground="white")


def latent_map(
    model: AutoencoderRecommender,
    histories: csr_matrix,
    names: Sequence[str],
    person: csr_matrix | None = None,
    n_products: int = 300,
) -> Figure:
    """Posterior means of one-item histories along their two principal components.

    Diamonds: the `n_products` that most of the `histories` (N, M) have, some with their names; larger, in
    another colour and all named: the products of `person` (1, M).  Dots: the histories themselves.
    """
    popular = np.argsort(-np.bincount(histories.indices, minlength=len(names)), kind="stable")[:n_products]
    own = np.array([], dtype=int) if person is None else person.indices
    chosen = np.concatenate([own, np.setdiff1d(popular, own, assume_unique=True)])
    codes = model.codes(csr_matrix(identity(len(names), format="csr", dtype=np.float32))[chosen])
    centre = codes.mean(axis=0)
    _, sizes, axes = np.linalg.svd(codes - centre, full_matrices=False)
    share = sizes[:2] ** 2 / (sizes**2).sum()
    spots = (codes - centre) @ axes[:2].T
    people = (model.codes(histories) - centre) @ axes[:2].T

    figure, (axis,) = new_figure(10, 6.6)
    axis.plot(*people.T, "o", markersize=2.5, color=GREY, alpha=0.3, markeredgewidth=0, label="customers")
    axis.plot(*spots[len(own) :].T, "D", markersize=4, color=BLUE, markeredgewidth=0, label="products")
    if len(own):
        x, y = spots[: len(own)].T
        label = "products of the customer"
        axis.plot(x, y, "D", markersize=8, color=ORANGE, markeredgecolor="black", label=label)
    low, high = spots.min(axis=0), spots.max(axis=0)
    margin = 0.12 * (high - low)
    axis.set(
        title=f"Products in the code, along its two widest directions ({share.sum():.0%} of the variance)",
        xlabel=f"first direction ({share[0]:.0%})",
        ylabel=f"second direction ({share[1]:.0%})",
        xlim=(low[0] - margin[0], high[0] + 2 * margin[0]),
        ylim=(low[1] - margin[1], high[1] + margin[1]),
    )
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    _label(figure, axis, spots, [names[i] for i in chosen], len(own))
    return figure


def _label(figure: Figure, axis: Axes, spots: Array, names: Sequence[str], n_own: int) -> None:
    """Name products, the first ones first, on a side where the label covers no other; else not at all."""
    figure.draw_without_rendering()  # fixes the axes, so that text has a size
    inside = axis.get_window_extent()
    # The customer's own products are what one looks for: no label may cover them.
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in axis.transData.transform(spots[:n_own])]
    for n, (spot, name) in enumerate(zip(spots, names)):
        if len(taken) == n_own + _LABELS:
            return
        label = short(name, 30)
        weight = "bold" if n < n_own else "normal"
        for place, side in _SIDES:
            x, y = map(float, spot)
            text = axis.annotate(label, (x, y), place, textcoords="offset points", ha=side, va="center")
            text.set(fontsize=7.5, fontweight=weight, path_effects=[_HALO])
            box = text.get_window_extent()
            if inside.x0 < box.x0 and box.x1 < inside.x1 and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()
