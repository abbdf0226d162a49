"""Pictures of samples: points over the data, images in a grid, and an animation of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigen.files import writing
from minigen.typing import Array

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

COLUMNS = 8  # of a grid of images
PER_SECOND = 10

Shape = tuple[int, int] | None  # of images; None: points


def write_picture(path: Path, rows: Array, shape: Shape, data: Array) -> None:
    """Draw rows (N, D), or (R, C, D) in a grid, as images of `shape`; as points over `data` if None.

    Raises InputError where the file cannot be written.
    """
    canvas = _Canvas(shape, data)
    canvas.show(rows)
    with writing(path) as beside:
        canvas.figure.savefig(beside, format="png", dpi=120)


def write_animation(path: Path, frames: Sequence[tuple[str, Array]], shape: Shape, data: Array) -> None:
    """Draw titled frames one after another into an animated GIF; the last one stands still for a second.

    Raises InputError where the file cannot be written.
    """
    from matplotlib.animation import PillowWriter

    canvas, writer = _Canvas(shape, data), PillowWriter(fps=PER_SECOND)
    with writing(path) as beside, writer.saving(canvas.figure, str(beside), dpi=72):
        for title, rows in [*frames, *[frames[-1]] * PER_SECOND]:
            canvas.show(rows, title)
            writer.grab_frame()


def tile(rows: Array, shape: tuple[int, int]) -> Array:
    """One picture of rows (N, D), or (R, C, D), as images of `shape`, a pixel apart, in [0, 1]."""
    if rows.ndim == 2:
        columns = min(COLUMNS, len(rows))
        rows = rows[: len(rows) // columns * columns].reshape(-1, columns, rows.shape[1])
    images = np.clip(rows, 0, 1).reshape(*rows.shape[:2], *shape)
    framed = np.pad(images, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=1)
    return framed.swapaxes(1, 2).reshape(rows.shape[0] * (shape[0] + 1), -1)


class _Canvas:
    """A figure whose content is exchanged, since building one takes longer than drawing it."""

    def __init__(self, shape: Shape, data: Array) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure, self.shape = Figure(figsize=(5, 5)), shape
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0.02, 0.02, 0.96, 0.91))
        self.axes.axis("off")
        self.title = self.figure.text(0.5, 0.95, "", ha="center")
        self.image: AxesImage | None = None
        if shape is None:
            low, high = data[:, :2].min(axis=0), data[:, :2].max(axis=0)
            margin = 0.15 * (high - low)
            self.axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
            self.axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
            self.axes.scatter(data[:2000, 0], data[:2000, 1], s=4, color="0.75")
            self.points = self.axes.scatter([], [], s=4, color="tab:red")

    def show(self, rows: Array, title: str = "") -> None:
        self.title.set_text(title)
        if self.shape is None:
            self.points.set_offsets(rows.reshape(-1, rows.shape[-1])[:, :2])
        elif self.image is None:
            self.image = self.axes.imshow(tile(rows, self.shape), cmap="gray", vmin=0, vmax=1)
        else:
            self.image.set_data(tile(rows, self.shape))
