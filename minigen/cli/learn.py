"""`minigen learn`: the guide through the book: chapters, exercises, checks, notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minigen.exercises.chapters import Chapter, Text
    from minigen.exercises.registry import Exercise


def learn(
    what: Annotated[str, typer.Argument(metavar="[CHAPTER|check|open]", show_default=False)] = "",
    which: Annotated[str, typer.Argument(metavar="[EXERCISE|FILE|CHAPTER]", show_default=False)] = "",
    out: Annotated[
        Path | None, typer.Option(help="File for the exercise; exercise-CHAPTER-NUMBER.py by default.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
) -> None:
    """List the chapters and what you have tried; `learn 04` one chapter, `learn 04 2` writes an exercise.

    `learn check FILE` judges what you made of it (exit code 1: not yet), `learn open 04` opens the notebook.
    """
    from minigen.errors import InputError
    from minigen.provenance import write_json

    if what in ("check", "open") and not which:
        raise InputError(f"learn {what}: {'which file' if what == 'check' else 'which chapter'}?")
    if out is not None and (what in ("check", "open") or not which):
        raise InputError("--out goes with a chapter and an exercise, as in `learn 04 2 --out mine.py`")
    right = True
    if what == "check":
        rows = [_check(Path(which))]
        right = rows[0]["right"]
    elif what == "open":
        rows = [_open(_chapter(which))]
    elif which:
        rows = [_write(_chapter(what), which, out)]
    else:
        rows = _list_exercises(_chapter(what)) if what else _list_chapters()
    if json:
        write_json(json, "learn", {"what": what, "which": which}, rows)
    if not right:
        raise typer.Exit(1)


def _all_chapters() -> tuple[Chapter, ...]:
    from minigen.errors import InputError
    from minigen.exercises.chapters import chapters

    found = chapters()
    if not found:
        raise InputError(
            "the chapters are not here: `minigen learn` needs a clone of minigen, not its package"
        )
    return found


def _chapter(name: str) -> Chapter:
    """The chapter of a number (4, 04), a stem (04-losses) or a name (losses)."""
    from minigen.errors import InputError

    found = _all_chapters()
    for chapter in found:
        if name.zfill(2) == chapter.number or name in (chapter.stem, chapter.room):
            return chapter
    raise InputError(f"there is no chapter {name}; there are {', '.join(chapter.stem for chapter in found)}")


def _state(chapter: Chapter, text: Text, tried: dict[str, bool]) -> str:
    return {None: "", False: "tried", True: "right"}[tried.get(f"{chapter.room}-{text.number}")]


def _list_chapters() -> list[dict[str, Any]]:
    from minigen.cli.output import command, console, print_table
    from minigen.exercises.progress import tried

    known, rows = tried(), []
    for chapter in _all_chapters():
        states = [_state(chapter, text, known) for text in chapter.exercises]
        rows.append(
            {
                "chapter": chapter.stem,
                "title": chapter.title,
                "takes": chapter.takes,
                "exercises": len(states),
                "tried": len(states) - states.count(""),
                "right": states.count("right"),
            }
        )
    print_table(
        "The book",
        ("chapter", "about", "takes", "exercises"),
        ((row["chapter"], row["title"], row["takes"], _tally(row)) for row in rows),
    )
    console.print(
        f"`{command('learn', '02')}` lists a chapter's exercises, "
        f"`{command('learn', 'open', '02')}` opens it.",
    )
    return rows


def _tally(row: dict[str, Any]) -> str:
    open_ones = row["tried"] - row["right"]
    return f"{row['right']} of {row['exercises']} right" + (f", {open_ones} tried" if open_ones else "")


def _list_exercises(chapter: Chapter) -> list[dict[str, Any]]:
    from minigen.cli.output import command, console, print_table
    from minigen.exercises.progress import tried

    known = tried()
    rows = [
        {"exercise": text.number, "title": text.title, "state": _state(chapter, text, known)}
        for text in chapter.exercises
    ]
    print_table(f"{chapter.number} · {chapter.title}", ("exercise", "title", "state"), map(dict.values, rows))
    if rows:
        first = next((row["exercise"] for row in rows if row["state"] != "right"), 1)
        console.print(f"`{command('learn', chapter.number, first)}` writes the file to work in.")
    return rows


def _write(chapter: Chapter, number: str, out: Path | None) -> dict[str, Any]:
    """Write an exercise to a file that is not there yet."""
    from minigen.cli.output import command, console
    from minigen.errors import InputError
    from minigen.exercises.sheet import sheet
    from minigen.files import write_text

    text = next((text for text in chapter.exercises if str(text.number) == number), None)
    if text is None:
        count = len(chapter.exercises)
        raise InputError(f"chapter {chapter.number} has exercises 1 to {count}, and no {number}")
    path = out or Path(f"exercise-{chapter.number}-{number}.py")
    check = command("learn", "check", path)
    if path.suffix != ".py":
        raise InputError(f"{path}: want a name that ends in .py")
    if path.exists():
        raise InputError(f"{path} is there, perhaps with your work: `{check}`, or write to another --out")
    write_text(path, sheet(text, f"Change this until `{check}` says: right"))
    console.print(f"{path} has the task and a skeleton, wrong on purpose. Change it, then: {check}")
    return {"chapter": chapter.stem, "exercise": text.number, "file": str(path)}


def _check(path: Path) -> dict[str, Any]:
    """Judge a file, and say what comes next."""
    from minigen.cli.output import command, console
    from minigen.errors import InputError
    from minigen.exercises.chapters import chapters
    from minigen.exercises.judge import said, verdict
    from minigen.exercises.registry import asking_for
    from minigen.exercises.sheet import answers_in

    answers = answers_in(path)
    found = asking_for(set(answers))
    if found is None:
        raise InputError(f"{path}: no exercise asks for {', '.join(answers) or 'nothing'}; keep the names")
    words = verdict(found, answers)
    console.print(said(words), soft_wrap=True)
    home = next((chapter for chapter in chapters() if chapter.room == found.room), None)
    if home and not words and len(home.exercises) > found.number:
        console.print(f"next: {command('learn', home.number, found.number + 1)}")
    return {"exercise": _name(home, found), "right": not words, "message": words}


def _name(home: Chapter | None, found: Exercise) -> str:
    return f"{home.stem if home else found.room} {found.number}"


def _open(chapter: Chapter) -> dict[str, Any]:
    """Open the notebook in JupyterLab, or print how, where there is no browser."""
    import shlex
    import subprocess
    import sys
    import webbrowser
    from importlib.util import find_spec

    from minigen.cli.output import console
    from minigen.exercises.chapters import CHAPTERS

    root = CHAPTERS.parent
    notebook = f"notebooks/{chapter.stem}.ipynb"
    row = {"chapter": chapter.stem, "notebook": notebook, "opened": False}
    if find_spec("jupyterlab") is None:
        install = shlex.join([str(Path(sys.executable).with_name("pip")), "install", "-e", ".[notebooks]"])
        console.print(f"JupyterLab is not installed: `make lab`, or, in {root}: {install}")
        return row
    words = [sys.executable, "-m", "jupyterlab"]
    words += [f"--ServerApp.root_dir={root}", f"--LabApp.default_url=/lab/tree/{notebook}"]
    try:
        webbrowser.get()
    except webbrowser.Error:
        console.print(f"no browser here; where there is one: {shlex.join(words)}", soft_wrap=True)
        return row
    subprocess.run(words, check=False)
    return row | {"opened": True}
