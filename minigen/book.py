"""What the chapters share: source as it stands in the library, tables, reported figures, sliders.

``python -m minigen.book`` writes the pictures of the README from the notebooks.
"""

from __future__ import annotations

import base64
import inspect
import json
import os
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from textwrap import dedent
from typing import Any

_ROOT = Path(__file__).parents[1]
PICTURES = {  # of the README: file -> notebook, and words of the cell that draws it
    "valley.png": ("02-gradcheck", "a valley between"),
    "ring.png": ("05-gan", "Circles: the modes."),
    "codes.png": ("07-vae", "What each code stands for"),
}


class Page(str):
    """Text that a notebook shows as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def show(*things: Callable[..., Any] | type) -> Page:
    """The source of functions and classes of minigen as it stands in the library, and where."""
    parts = []
    for thing in things:
        thing = getattr(thing, "py_func", thing)  # what Numba has compiled
        path = Path(inspect.getfile(thing)).relative_to(_ROOT)
        source, line = inspect.getsourcelines(thing)
        parts.append(f"`{path.as_posix()}`, line {line}\n```python\n{dedent(''.join(source))}```\n")
    return Page("".join(parts))


def page_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Page:
    """Rows of texts and numbers as a table of the page; a | in a text is no border, a <tag> no markup."""
    head, *texts = [[_cell(cell) for cell in row] for row in (columns, *rows)]
    lines = [head, ["---"] * len(columns), *texts]
    return Page("\n".join("| " + " | ".join(line) + " |" for line in lines))


def _cell(what: Any) -> str:
    return " ".join(escape(str(what), quote=False).replace("|", "\\|").splitlines())


def measured(name: str) -> dict[str, Any]:
    """A reported experiment, results/NAME.json: settings, rows, provenance."""
    return json.loads((_ROOT / f"results/{name}.json").read_text("utf-8"))


def sliders(draw: Callable[..., Any], **options: Sequence[Any]) -> Any:
    """`draw(**values)` under a slider for each option, which begins in the middle of its values.

    The figure of that place alone where there are no widgets, or MINIGEN_STILL is set (a page without a
    kernel has no use for a slider).
    """
    start = {name: values[len(values) // 2] for name, values in options.items()}
    if os.environ.get("MINIGEN_STILL"):
        return draw(**start)
    try:
        from ipywidgets import SelectionSlider, interactive
    except ImportError:
        return draw(**start)
    return interactive(
        draw,
        {"auto_display": True},  # without it the figure is computed, and not shown
        **{
            name: SelectionSlider(
                options=[(f"{value:g}", value) for value in values],
                value=start[name],
                continuous_update=False,
            )
            for name, values in options.items()
        },
    )


def picture(name: str) -> bytes:
    """A picture of the README, as its notebook holds it.

    Raises LookupError where no executed cell has it.
    """
    stem, words = PICTURES[name]
    for cell in json.loads((_ROOT / f"notebooks/{stem}.ipynb").read_text("utf-8"))["cells"]:
        if words in "".join(cell["source"]):
            for output in cell.get("outputs", ()):
                if png := output.get("data", {}).get("image/png"):
                    return base64.b64decode("".join(png))
    raise LookupError(f"notebooks/{stem}.ipynb: no picture in a cell with {words!r}")


if __name__ == "__main__":
    for name in PICTURES:
        (_ROOT / "chapters/images" / name).write_bytes(picture(name))
