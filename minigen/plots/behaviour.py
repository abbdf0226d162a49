"""A history beside the behaviour that the decoder generates from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.plots.style import BLUE, GREY, new_figure, short
from minigen.typing import Array


def behaviour(
    history: csr_matrix, generated: Array, ranked: NDArray[np.integer], names: Sequence[str], most: int = 15
) -> Figure:
    """Two panels of probabilities (M,) `generated` by the decoder: of the history (1, M), of what is new.

    `ranked` holds the items with the best new ones first.
    """
    figure, (old, new) = new_figure(10, 5.2, columns=2)
    bought = history.indices[np.argsort(-generated[history.indices], kind="stable")][:most]
    more = history.nnz - len(bought)
    for axis, items, colour, hatch, title in (
        (old, bought, GREY, "//", "Bought" + (f" (and {more} more)" if more > 0 else "")),
        (new, ranked[:most], BLUE, "", "New, so recommended"),
    ):
        places = np.arange(len(items))
        axis.barh(places, 100 * generated[items], color=colour, edgecolor="white", hatch=hatch)
        axis.set_yticks(places, [short(names[i]) for i in items], fontsize=8)
        axis.set_xlim(0, 108 * max(generated[bought].max(initial=0), generated[ranked].max(initial=0)))
        axis.invert_yaxis()
        axis.set(title=title, xlabel="generated probability, %")
    return figure
