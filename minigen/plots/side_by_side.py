"""A right training on the left, a broken one on the right: what each makes, and its losses on the way."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minigen.gradcheck.side_by_side.scene import Curve, Images, Picture, Points, Side
from minigen.plots.style import BLUE, DPI, GREY, ORANGE

_WIDTH = 62  # characters that stand above one picture


def side_by_side(title: str, sides: Sequence[Side], words: Sequence[str]) -> Figure:
    """Two columns, the right training and the broken one: `words` above, its picture, its losses by epoch."""
    figure = Figure(figsize=(10, 7), dpi=DPI, layout="constrained")
    figure.suptitle(title)
    pictures, curves = figure.subplots(2, 2, height_ratios=(3, 1))
    colours = (BLUE, ORANGE)
    for axis, side, text, colour in zip(pictures, sides, words, colours):
        lines = [fill(line, _WIDTH) for line in text.splitlines()]
        axis.set_title("\n".join(lines), fontsize=9, loc="left", parse_math=False)
        _draw(axis, side.picture, colour)
    if all(isinstance(side.picture, Curve) for side in sides):
        pictures[1].sharey(pictures[0])
    for axis, side, colour in zip(curves, sides, colours):
        axis.spines[["top", "right"]].set_visible(False)
        for (name, values), style in zip(side.losses.items(), ("-", ":")):
            axis.plot(
                np.arange(1, len(values) + 1),
                values,
                style,
                color=colour,
                label="discriminator" if name == "loss" else name,
            )
        axis.set(xlabel="epoch", ylabel="its own loss")
        if len(side.losses) > 1:
            axis.legend(frameon=False, fontsize=8)
    return figure


def _draw(axis: Axes, picture: Picture | None, colour: str) -> None:
    match picture:
        case Points(samples, data):
            low, high = data.min(axis=0), data.max(axis=0)
            axis.scatter(data[:, 0], data[:, 1], s=4, color="0.8")
            axis.scatter(samples[:, 0], samples[:, 1], s=4, color=colour)
            axis.set(aspect="equal", xlim=(1.4 * low[0], 1.4 * high[0]), ylim=(1.4 * low[1], 1.4 * high[1]))
            axis.axis("off")
        case Images(lines, (height, width), words):
            rows, columns, _ = lines.shape
            tiles = np.clip(lines, 0, 1).reshape(rows, columns, height, width).swapaxes(1, 2)
            axis.imshow(tiles.reshape(rows * height, columns * width), cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks(height * (np.arange(rows) + 0.5), words, fontsize=8)
            axis.tick_params(length=0)
        case Curve(values, words):
            axis.plot(np.arange(1, len(values) + 1), values, color=colour)
            axis.set(xlabel="epoch", ylabel=words)
            axis.spines[["top", "right"]].set_visible(False)
        case _:
            axis.text(0.5, 0.5, "no picture:\nits numbers overflowed", ha="center", color=GREY)
            axis.axis("off")
