"""Figures of the application: reasons that matter, probabilities that hold, doubt, variety."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from minigen.application.calibration import Reliability
from minigen.plots.style import BLUE, GREEN, GREY, ORANGE, new_figure
from minigen.typing import Array

_LOOKS = (
    (BLUE, "-", "o"),
    (GREEN, "--", "s"),
    (ORANGE, "-.", "D"),
    ("#CC79A7", ":", "^"),
    (GREY, "-", "x"),
)


def deletion_figure(shares: Sequence[float], curves: Mapping[str, Mapping[str, Array]]) -> Figure:
    """A panel a model: log p of the first recommendation as clicks are taken away, a line an order."""
    figure, axes = new_figure(4.6 * len(curves), 3.8, columns=len(curves))
    for axis, (model, lines) in zip(axes, curves.items()):
        for (order, values), (colour, line, marker) in zip(lines.items(), _LOOKS):
            axis.plot(shares, values, line, color=colour, marker=marker, markersize=4, label=order)
        axis.set(title=model, xlabel="share of the history taken away", ylabel="change of log p, nats")
    axes[0].legend(frameon=False, fontsize=8, title="taken away by")
    return figure


def calibration_figure(found: Mapping[str, Reliability]) -> Figure:
    """Frequency observed against probability predicted, a line a predictor with its calibration error."""
    figure, (axis,) = new_figure(5.2, 4.8)
    axis.plot([0, 1], [0, 1], color="black", linewidth=1)
    for (name, bins), (colour, line, marker) in zip(found.items(), _LOOKS):
        label = f"{name}: error {bins.error:.3f}"
        axis.plot(bins.predicted, bins.observed, line, color=colour, marker=marker, markersize=4, label=label)
    axis.set(
        title="Is the next item among the k most probable?",
        xlabel="probability predicted",
        ylabel="frequency observed",
    )
    axis.legend(frameon=False, fontsize=8)
    return figure


def spread_figure(lengths: Sequence[int], std: Sequence[float], overlap: Sequence[float]) -> Figure:
    """Standard deviation of the code, and agreement of two drawn lists, against the length of a history."""
    figure, (left, right) = new_figure(9, 3.4, columns=2)
    for axis, values, label in (
        (left, std, "standard deviation of the code"),
        (right, overlap, "shared by the 10 best of two draws"),
    ):
        axis.plot(lengths, values, color=BLUE, marker="o")
        axis.set(xscale="log", xlabel="items shown of the same people", ylabel=label)
        axis.set_xticks(lengths, map(str, lengths))
        axis.minorticks_off()
    return figure


def trade_figure(rows: Mapping[str, Sequence[Sequence[float]]], chosen: Mapping[str, int]) -> Figure:
    """NDCG against the distance within lists, a line a kind of similarity; a ring marks what was chosen."""
    figure, (axis,) = new_figure(5.6, 4.0)
    for (name, (distance, ndcg, se)), (colour, line, marker) in zip(rows.items(), _LOOKS):
        axis.errorbar(distance, ndcg, se, color=colour, linestyle=line, marker=marker, label=name, capsize=2)
        place = chosen[name]
        axis.plot(distance[place], ndcg[place], "o", markersize=12, fillstyle="none", color=colour)
    axis.set(title="What variety costs", xlabel="distance within a list of 10", ylabel="NDCG@10")
    axis.legend(frameon=False, fontsize=8)
    return figure
