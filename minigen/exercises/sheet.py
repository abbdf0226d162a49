"""An exercise as a file: written for the reader, read back with what the reader made of it."""

from __future__ import annotations

import runpy
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

from minigen.errors import InputError
from minigen.exercises.chapters import Text


def sheet(text: Text, head: str) -> str:
    """The file of an exercise: `head` and the spec as comments, the imports, the skeleton."""
    paragraphs = (line for line in (f"{text.title}\n\n{text.spec}\n\n{head}").splitlines())
    lines = (line for paragraph in paragraphs for line in textwrap.wrap(paragraph, 96) or [""])
    comments = "\n".join(f"# {line}".rstrip() for line in lines)
    return "\n\n".join(filter(None, [comments, text.imports, "\n" + text.skeleton])) + "\n"


def answers_in(path: Path) -> dict[str, Callable[..., Any]]:
    """The functions that a reader's file defines, by name; the file is run.

    Raises InputError where there is no such file, or it cannot be run.
    """
    if path.suffix != ".py" or not path.is_file():
        raise InputError(f"{path}: want a file of Python that is there, such as one of `minigen learn 03 1`")
    try:
        found = runpy.run_path(str(path), run_name="answers")
    except (Exception, SystemExit) as error:  # whatever a reader's file may raise
        line = error.lineno if isinstance(error, SyntaxError) else _line(error, path)
        place = f"{path}, line {line}" if line else str(path)
        raise InputError(f"{place}: {type(error).__name__}: {error}") from None
    return {
        name: thing
        for name, thing in found.items()
        if isinstance(thing, FunctionType) and thing.__module__ == "answers"
    }


def _line(error: BaseException, path: Path) -> int | None:
    trace, line = error.__traceback__, None
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
