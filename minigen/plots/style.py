"""One look for all figures: colours that survive colour-blind eyes and a grey printer."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart by all common kinds of colour blindness, and of different lightness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#767676"
HATCHES = ("//", "..", "xx", "", "\\\\", "++")
DPI = 110


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of `columns` axes side by side, in inches, that belongs to no window."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG, whole or not at all.  Raises InputError where it cannot be written."""
    from minigen.files import writing

    with writing(path) as beside:
        beside.write_bytes(png(figure))


def short(text: str, length: int = 34) -> str:
    """`text` cut to `length` characters, for a label; a dollar sign is no formula."""
    text = text if len(text) <= length else text[: length - 1].rstrip() + "…"
    return text.replace("$", r"\$")
