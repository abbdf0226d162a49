"""Models side by side on the same held-out users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minigen.plots.style import BLUE, GREEN, GREY, HATCHES, ORANGE, new_figure

_COLOURS = (GREY, ORANGE, BLUE, GREEN)


def comparison(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Figure:
    """A group of bars a metric, a bar a model; whiskers are 95% intervals over users, 1.96 se."""
    figure, (axis,) = new_figure(1.6 + 2.2 * len(metrics), 3.6)
    width = 0.8 / len(rows)
    for n, row in enumerate(rows):
        places = np.arange(len(metrics)) + (n - (len(rows) - 1) / 2) * width
        means = [row["metrics"][name] for name in metrics]
        whiskers = [1.96 * row["se"][name] for name in metrics]
        bars = axis.bar(
            places,
            means,
            0.92 * width,
            yerr=whiskers,
            capsize=4,
            label=row["model"],
            color=_COLOURS[n % len(_COLOURS)],
            edgecolor="white",
            hatch=HATCHES[n % len(HATCHES)],
        )
        axis.bar_label(bars, fmt="%.3f", padding=3)
    axis.set_xticks(np.arange(len(metrics)), metrics)
    axis.set(ylabel="mean over held-out users", title="Who finds the purchases that were hidden?")
    axis.margins(y=0.15)
    figure.legend(frameon=False, loc="outside lower center", ncols=len(rows))
    return figure
