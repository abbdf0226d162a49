"""Drawings of the chapters that hold no data: how products go together, which way the passes run."""

from __future__ import annotations

from itertools import product

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from minigen.plots.style import BLUE, ORANGE, new_figure


def three_products() -> Figure:
    """The products of a dense layer, forward and back, at B = 5, I = 4, O = 3.

    The dark entry of each is the product of the dark row and the dark column.
    """
    figure, axes = new_figure(10, 2.5, columns=3)
    lines = {  # names, and the three sizes
        "forward: $y = x w$": ("x (B, I)", "w (I, O)", "y (B, O)", (5, 4, 3)),
        "$d_x = d_y w^T$": ("d_y (B, O)", "w$^T$ (O, I)", "d_x (B, I)", (5, 3, 4)),
        "$d_w = x^T d_y$": ("x$^T$ (I, B)", "d_y (B, O)", "d_w (I, O)", (4, 5, 3)),
    }
    for axis, (title, (one, two, out, (n, k, m))) in zip(axes, lines.items()):
        end = _matrix(axis, 0, (n, k), one, row=1)
        end = _matrix(axis, end + 1.4, (k, m), two, column=2)
        axis.text(end + 0.85, -2, "=", ha="center", fontsize=12)
        end = _matrix(axis, end + 1.7, (n, m), out, row=1, column=2)
        axis.text(end / 2, 1.4, title, ha="center", fontsize=11)
        axis.set(xlim=(-0.9, end + 0.9), ylim=(-5.3, 2.4), aspect="equal")
        axis.axis("off")
    return figure


def _matrix(
    axis: Axes,
    left: float,
    shape: tuple[int, int],
    name: str,
    row: int | None = None,
    column: int | None = None,
) -> float:
    """A grid of cells with its name above, what is in `row` and `column` dark; where it ends."""
    for r, c in product(*map(range, shape)):
        dark = row in (None, r) and column in (None, c)
        axis.add_patch(Rectangle((left + c, -r - 1), 1, 1, fc="0.6" if dark else "w", ec="k", lw=0.7))
    axis.text(left + shape[1] / 2, 0.3, name, ha="center", fontsize=9)
    return left + shape[1]


def four_passes() -> Figure:
    """The passes over a critic of three layers that a gradient of a gradient takes."""
    figure, (axis,) = new_figure(10, 3)
    rows = (
        (3, "forward", ("x", "h_0", "h_1", "y = h_2"), "->", "k"),
        (2, "input gradient", ("g = v_0", "s_0", "s_1", "s_2 = 1"), "<-", "k"),
        (1, "up", ("d_g", "d_s_0", "d_s_1"), "->", ORANGE),
        (0, "down", ("d_x", "d_h_0", "d_h_1", "0"), "<-", ORANGE),
    )
    for height, name, words, way, colour in rows:
        axis.text(-1.3, height, name, va="center", fontsize=10)
        box = {"boxstyle": "round,pad=.35", "fc": "w", "ec": colour}
        for place, word in enumerate(words):
            axis.text(2.2 * place, height, word, ha="center", va="center", fontsize=9, bbox=box)
        for place in range(len(words) - 1):
            ends = (2.2 * place + 1.7, height), (2.2 * place + 0.45, height)
            axis.annotate("", *ends, arrowprops={"arrowstyle": way, "color": colour})
    for across in (2.2, 4.4):
        style = {"arrowstyle": "->", "color": BLUE, "ls": "--", "lw": 1.5}
        axis.annotate("", (across, 0.25), (across, 0.75), arrowprops=style)
        axis.text(across + 0.1, 0.5, "times v and phi''", fontsize=9, va="center", style="italic")
    axis.set(xlim=(-1.5, 7.8), ylim=(-0.4, 3.4))
    axis.axis("off")
    return figure
