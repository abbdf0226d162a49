"""The ladder of dense kernels: how fast each rung is at each size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from minigen.plots.style import BLUE, GREEN, GREY, ORANGE, new_figure


def ladder_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """GFLOP/s of every rung against the size, on logarithmic axes, a panel a number of threads."""
    counts = list(dict.fromkeys(row["threads"] for row in rows))
    rungs = list(dict.fromkeys(row["rung"] for row in rows))
    colours = ("black", GREY, ORANGE, "#CC79A7", GREEN, BLUE, "#D55E00")
    figure, axes = new_figure(2.0 + 4.8 * len(counts), 4.2, len(counts))
    for axis, threads in zip(axes, counts):
        for n, rung in enumerate(rungs):
            own = [row for row in rows if (row["rung"], row["threads"]) == (rung, threads)]
            own.sort(key=lambda row: row["size"])
            sizes, speeds = [row["size"] for row in own], [row["gflops"] for row in own]
            line, colour = "--" if rung == "matmul" else "-", colours[n % len(colours)]
            axis.plot(sizes, speeds, line, color=colour, marker="os^Dv*Px<>"[n % 10], label=rung)
        shown = sorted({row["size"] for row in rows})
        axis.set(xscale="log", yscale="log", xlabel="n, of (n, n) times (n, n)", ylabel="GFLOP/s")
        axis.set_xticks(shown, map(str, shown))
        axis.minorticks_off()
        axis.set_title(f"{threads} thread" + ("s" if threads > 1 else ""))
        axis.grid(color="0.9")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, loc="outside right center")
    return figure
