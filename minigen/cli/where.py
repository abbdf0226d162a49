"""`minigen where`: from an equation to its chapter, its code and the tests that prove it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parents[2]  # of a checkout; an installed package has its code alone
_HOME = re.compile(r"\[eq:([a-z0-9-]+)\]")
_DEFINITION = re.compile(r"\s*(?:def|class) (\w+)")


def where(
    equation: Annotated[str, typer.Argument(metavar="EQUATION", help="An id such as eq:gaussian-kl.")],
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
) -> None:
    """Print file and line of an equation: where it is derived, computed, and proved."""
    from minigen.cli.output import print_table
    from minigen.errors import InputError
    from minigen.provenance import write_json

    wanted = equation.removeprefix("eq:")
    places = list(_homes())
    found = [place for place in places if place[0] == wanted]
    if not found:
        import difflib

        near = difflib.get_close_matches(wanted, {name for name, *_ in places}, n=3, cutoff=0.4)
        hint = f"; the nearest are {', '.join(f'eq:{name}' for name in near)}" if near else ""
        raise InputError(f"there is no equation eq:{wanted}{hint}")
    rows = [{"what": what, "place": place, "name": name} for _, what, place, name in found]
    rows += [
        {"what": "test", "place": place, "name": name}
        for function in sorted({row["name"] for row in rows if row["what"] == "code"})
        for place, name in _tests_of(function)
    ]
    print_table(f"eq:{wanted}", ("what", "place", "name"), ([row[key] for key in row] for row in rows))
    if json:
        write_json(json, "where", {"equation": f"eq:{wanted}"}, rows)


def _homes() -> Iterator[tuple[str, str, str, str]]:
    """Every equation's homes: id, "chapter" or "code", file:line, and the heading or function there."""
    for path in sorted((ROOT / "chapters").glob("*.md")) + sorted((ROOT / "minigen").rglob("*.py")):
        chapter, name = path.suffix == ".md", ""
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if chapter and line.startswith("#"):
                name = line.strip("# ")
            elif not chapter and (definition := _DEFINITION.match(line)):
                name = definition.group(1)
            for equation in _HOME.findall(line):
                yield equation, "chapter" if chapter else "code", f"{path.relative_to(ROOT)}:{number}", name


def _tests_of(function: str) -> Iterator[tuple[str, str]]:
    """The tests that name a function: file:line of each, and its name."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name, start = "", 0
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if (definition := _DEFINITION.match(line)) and not line.startswith(" "):
                name, start = definition.group(1), number
            elif name.startswith("test_") and re.search(rf"\b{function}\b", line):
                yield f"{path.relative_to(ROOT)}:{start}", name
                name = ""
