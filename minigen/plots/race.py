"""Backends against each other: a group of bars a piece of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minigen.plots.style import BLUE, GREEN, GREY, HATCHES, ORANGE, new_figure

_COLOURS = (GREY, BLUE, ORANGE, GREEN, "#CC79A7")


def race_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Median time of every backend, in ms on a logarithmic axis; a black line marks the floor."""
    work = list(dict.fromkeys(row["op"] for row in rows))
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    figure, (axis,) = new_figure(8.0, 1.4 + 0.22 * len(work) * len(backends))
    height = 0.8 / len(backends)
    for n, backend in enumerate(backends):
        own = {row["op"]: row for row in rows if row["backend"] == backend}
        places = np.array([work.index(op) for op in own]) + (n - (len(backends) - 1) / 2) * height
        bars = axis.barh(
            places,
            [row["median_ms"] for row in own.values()],
            0.9 * height,
            label=backend,
            color=_COLOURS[n % len(_COLOURS)],
            hatch=HATCHES[n % len(HATCHES)],
            edgecolor="white",
        )
        ratios = [row.get("ratio") for row in own.values()]
        labels = ["" if ratio is None or backend == "numpy" else f"{ratio:.1f}x" for ratio in ratios]
        axis.bar_label(bars, labels, padding=3, fontsize=8)
    for place, op in enumerate(work):
        floors = [row["floor_ms"] for row in rows if row["op"] == op and "floor_ms" in row]
        if floors:
            axis.plot([min(floors)] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.5)
    axis.set_xscale("log")
    axis.set_yticks(range(len(work)), work)
    axis.invert_yaxis()
    axis.set(
        xlabel="ms, the median (black: what the machine allows)",
        title="Who is faster, and how close to the floor?",
    )
    axis.margins(x=0.1)
    figure.legend(frameon=False, loc="outside lower center", ncols=len(backends))
    return figure
