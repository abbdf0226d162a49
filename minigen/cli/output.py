"""What commands print for people."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from minigen.errors import printable


class _Console(Console):
    """A console on which text from the data stays text: no character of it steers the terminal.

    Nor does markup, such as [link=...]: whoever wants a style prints a `Text` that has it.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(printable(o) if isinstance(o, str) else o for o in objects), **options)


# The cell `!minigen ...` of a notebook gives a terminal that keeps every frame of a moving bar: it is none.
_in_a_notebook = "JPY_PARENT_PID" in os.environ
console = _Console(
    highlight=False, markup=False, emoji=False, force_terminal=False if _in_a_notebook else None
)


def program() -> str:
    """What a person has to type to call minigen again from here."""
    if shutil.which("minigen"):
        return "minigen"
    called = Path(sys.argv[0])
    if called.name != "minigen":
        return "python -m minigen"
    return shlex.quote(os.path.relpath(called) if called.is_absolute() else str(called))


def command(*words: object) -> str:
    """A call of minigen to be pasted: no word, wherever it is from, says anything to the shell."""
    return f"{program()} {shlex.join(map(str, words))}"


def print_table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]], rules: bool = True
) -> None:
    """Print a table; cells are shown as they are, whatever markup they may contain.

    Without `rules` between them, more columns fit a narrow terminal.
    """
    table, cells = Table(title=Text(printable(title)), title_justify="left"), [list(row) for row in rows]
    if not rules:
        table.box, table.padding = None, (0, 1, 0, 0)
    for n, column in enumerate(columns):
        numbers = cells and all(isinstance(row[n], int | float | None) for row in cells)
        table.add_column(Text(printable(column)), justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else printable(str(value))
