"""Computation graphs: boxes with words, and arrows between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minigen.plots.style import new_figure


def graph(
    boxes: Mapping[str, tuple[float, float, str]],
    arrows: str,
    *,
    size: tuple[float, float],
    given: str = "",
    dashed: str = "",
) -> tuple[Figure, Axes]:
    """Draw name -> (x, y, words) and arrows such as "z-g g-fake"; `given` boxes are grey.

    `dashed` arrows go beside the main way.  Returns the axes too, for what is to be added.
    """
    figure, (axis,) = new_figure(*size)
    shades = {name: "0.88" if name in given.split() else "w" for name in boxes}
    drawn = {
        name: axis.text(
            x, y, words, ha="center", va="center", fontsize=9,
            bbox={"boxstyle": "round,pad=.4", "fc": shades[name]},
        )
        for name, (x, y, words) in boxes.items()
    }  # fmt: skip
    for line, names in (("-", arrows), ("--", dashed)):
        for tail, head in (arrow.split("-") for arrow in names.split()):
            style: dict[str, Any] = {"arrowstyle": "->", "ls": line}
            style |= {"patchA": drawn[tail].get_bbox_patch(), "patchB": drawn[head].get_bbox_patch()}
            axis.annotate("", boxes[head][:2], boxes[tail][:2], arrowprops=style)
    across, up = zip(*((x, y) for x, y, _ in boxes.values()))
    axis.set(xlim=(min(across) - 0.8, max(across) + 0.8), ylim=(min(up) - 0.55, max(up) + 0.5))
    axis.axis("off")
    return figure, axis
