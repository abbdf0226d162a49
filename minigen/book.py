"""What the chapters share: source shown as it stands in the library, and tables of the page."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

_ROOT = Path(__file__).parents[1]


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
    """Rows of texts and numbers as a table of the page; a | in a text is no border."""
    texts = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *texts]
    return Page("\n".join("| " + " | ".join(line) + " |" for line in lines))
