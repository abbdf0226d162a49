"""Time and memory of a step against size, on logarithmic axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from minigen.plots.style import BLUE, GREY, new_figure


def growth_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Time (left) and memory (right) against the size ; labels tell the fitted exponents."""
    figure, axes = new_figure(10.0, 4.2, 2)
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    for panel, (key, label) in zip(axes, (("median_ms", "ms a step"), ("peak_memory_mb", "peak memory, MB"))):
        for place, axis in enumerate(dict.fromkeys(row["axis"] for row in rows)):
            for n, backend in enumerate(backends):
                own = [row for row in rows if row["axis"] == axis and row["backend"] == backend]
                marker = "osD^v<>"[place % 7]
                panel.plot(
                    [row["size"] for row in own],
                    [row[key] for row in own],
                    marker=marker,
                    linestyle="-" if n == 0 else "--",
                    color=(GREY, BLUE)[n % 2],
                    label=f"{axis}, {backend}: size^{own[-1]['exponents'][key]:.2f}",
                )
        panel.set(xscale="log", yscale="log", xlabel="size", ylabel=label)
        panel.legend(frameon=False, fontsize=8)
    return figure
