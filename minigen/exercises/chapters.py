"""What the chapters say: titles, minutes, and each exercise's spec, skeleton and worked answer."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from minigen.exercises.registry import Exercise

CHAPTERS = Path(__file__).parents[2] / "chapters"  # of a checkout; an installed package has none

_HEADING = re.compile(r"^### Exercise (\d+): (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(?:python|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Text(NamedTuple):
    """An exercise as its chapter tells it; `imports` are those of the chapter that the code uses."""

    number: int
    title: str
    spec: str
    imports: str
    skeleton: str
    check: str
    answer: str


class Chapter(NamedTuple):
    """A chapter: its stem, title, and how long it takes."""

    stem: str
    title: str
    takes: str
    exercises: tuple[Text, ...]

    @property
    def number(self) -> str:
        """Two digits: `03` of 03-dense."""
        return self.stem[:2]

    @property
    def room(self) -> str:
        """The name that the chapter shares with its module: `dense` of 03-dense."""
        return self.stem.partition("-")[2]


@cache
def chapters() -> tuple[Chapter, ...]:
    """All chapters of the checkout, in order; none where there is no checkout."""
    return tuple(_read(path) for path in sorted(CHAPTERS.glob("[0-9]*.md")))


def find_text(found: Exercise) -> Text | None:
    """What the chapter says of an exercise, where the chapters are here."""
    texts = (text for chapter in chapters() if chapter.room == found.room for text in chapter.exercises)
    return next((text for text in texts if text.number == found.number), None)


def _read(path: Path) -> Chapter:
    text = path.read_text("utf-8")
    title = re.search(r"^# (?:\d+ · )?(.+)$", text, re.MULTILINE)
    takes = re.search(r"\*\*It takes\*\* (?:about )?(.+?)(?: to read)?[;.]", text)
    imports = [line for block in _BLOCK.findall(text) for line in _imports(block)]
    starts = [*(found.start() for found in _HEADING.finditer(text)), len(text)]
    parts = (text[start:end] for start, end in pairwise(starts))
    return Chapter(
        path.stem,
        title.group(1) if title else path.stem,
        takes.group(1) if takes else "",
        tuple(_exercise(part, imports) for part in parts),
    )


def _exercise(part: str, imports: list[str]) -> Text:
    number, title = _HEADING.findall(part)[0]
    skeleton, check, answer, *_ = [block.rstrip() for block in _BLOCK.findall(part)] + [""] * 3
    spec = part.split("\n", 1)[1].partition("```")[0].strip()
    used = {node.id for node in ast.walk(ast.parse(skeleton + "\n" + answer)) if isinstance(node, ast.Name)}
    needed = [line for line in dict.fromkeys(imports) if line.split()[-1] in used]
    return Text(int(number), title, spec, "\n".join(needed), skeleton, check, answer)


def _imports(block: str) -> list[str]:
    """Each name that a cell imports, a line a name."""
    code = "\n".join("" if line.startswith("%") else line for line in block.splitlines())
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return []
    return [
        ast.unparse(type(node)(**{**vars(node), "names": [alias]}))
        for node in body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    ]
