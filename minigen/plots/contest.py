"""The end of a contest: who found how much, and whether the difference is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from minigen.plots.style import BLUE, GREY, ORANGE, new_figure, short

_LOOKS = {"baseline": (GREY, "s"), "generative": (BLUE, "o")}


def contest(rows: Sequence[Mapping[str, Any]], metric: str, reference: str) -> Figure:
    """A line a model, the best on top: its mean, and beside it the paired difference to `reference`.

    Whiskers are 95% intervals over users: 1.96 se, and of differences those of the bootstrap.
    """
    ran = sorted((row for row in rows if row["metrics"]), key=lambda row: row["metrics"][metric])
    figure, axes = new_figure(10, 1.5 + 0.42 * len(ran), columns=2)
    for n, row in enumerate(ran):
        colour, marker = _LOOKS[row["family"]]
        mean, se = row["metrics"][metric], row["se"].get(metric, 0.0)
        axes[0].errorbar(mean, n, xerr=1.96 * se, fmt=marker, color=colour, capsize=4)
        axes[0].annotate(f"{mean:.3f}", (mean, n), (0, 6), textcoords="offset points", ha="center")
        if "difference" in row:
            d = row["difference"]
            sides = [[d["difference"] - d["low"]], [d["high"] - d["difference"]]]
            axes[1].errorbar(d["difference"], n, xerr=sides, fmt=marker, color=colour, capsize=4)
    names = [row["model"] for row in ran]
    axes[0].set(xlabel=f"{metric.upper()}, test users", title="What each model found")
    axes[0].set_yticks(range(len(ran)), [short(name) for name in names])
    axes[1].axvline(0, color=ORANGE, lw=1.5)
    axes[1].plot(0, names.index(reference), "D", color=ORANGE)
    axes[1].set(xlabel=f"difference to {reference}, the same users", title="More than chance?")
    axes[1].set_yticks(range(len(ran)), [""] * len(ran))
    for axis in axes:
        axis.set_ylim(-0.6, len(ran) - 0.2)
        axis.grid(axis="x", alpha=0.25)
    for family, (colour, marker) in _LOOKS.items():
        if any(row["family"] == family for row in ran):
            axes[0].plot([], [], marker, color=colour, label=family)
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return figure
