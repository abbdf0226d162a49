"""`minigen learn`, and what the chapters and the exercises' checks say of each other."""

from __future__ import annotations

import json
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest
import typer

from minigen.cli import learn, main
from minigen.exercises import chapters as book
from minigen.exercises import progress
from minigen.exercises.chapters import chapters, find_text
from minigen.exercises.registry import ROOMS, exercises

TOLD = {(chapter.room, text.number): text for chapter in chapters() for text in chapter.exercises}
EXERCISES = [f"{room}-{number}" for room, number in TOLD]


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["learn", *args])
    return int(stop.value.code or 0)


def test_the_chapters_tell_what_the_checks_ask_for():
    assert sorted(TOLD) == sorted((found.room, found.number) for found in exercises())
    assert [chapter.room for chapter in chapters() if chapter.exercises] == list(ROOMS)
    for found in exercises():
        text = find_text(found)
        assert text is not None
        assert text.check == f"check({', '.join(found.wants)})"


def test_each_chapter_has_title_and_time():
    assert all(chapter.title and chapter.takes for chapter in chapters())


@pytest.mark.parametrize("name", EXERCISES)
def test_the_skeleton_fails_and_the_worked_answer_is_right(name, capsys):
    room, _, number = name.rpartition("-")
    path = Path("mine.py")
    learn.learn(room, number, out=path)
    with pytest.raises(typer.Exit) as stop:
        learn.learn("check", str(path), json=Path("row.json"))
    assert stop.value.exit_code == 1
    assert progress.tried() == {}  # the skeleton as it stands is no attempt
    (row,) = json.loads(Path("row.json").read_text("utf-8"))["rows"]
    assert row["right"] is False
    assert row["message"]
    assert f"not yet: {row['message']}" in capsys.readouterr().out

    path.write_text(path.read_text("utf-8") + "\n\n" + TOLD[room, int(number)].answer + "\n")
    learn.learn("check", str(path))
    assert capsys.readouterr().out.startswith("right\n")
    assert progress.tried() == {name: True}


def test_an_attempt_shows_in_the_lists(capsys):
    assert run("7", "3") == 0
    capsys.readouterr()
    path = Path("exercise-07-3.py")
    path.write_text(path.read_text("utf-8").replace("1.0", "2.0"))
    assert run("check", str(path)) == 1
    assert run("07-vae", "--json", "rows.json") == 0
    states = [row["state"] for row in json.loads(Path("rows.json").read_text("utf-8"))["rows"]]
    assert states == ["", "", "tried", ""]
    path.write_text(path.read_text("utf-8").replace("2.0", "float(size)"))
    capsys.readouterr()
    assert run("check", str(path)) == 0
    assert "learn 07 4" in capsys.readouterr().out
    assert run("--json", "rows.json") == 0
    rows = {row["chapter"]: row for row in json.loads(Path("rows.json").read_text("utf-8"))["rows"]}
    assert (rows["07-vae"]["tried"], rows["07-vae"]["right"]) == (1, 1)
    assert "1 of 4 right" in capsys.readouterr().out


def test_a_file_with_work_in_it_is_not_overwritten(capsys):
    assert run("03", "1") == 0
    Path("exercise-03-1.py").write_text("my work")
    assert run("03", "1") == 2
    assert Path("exercise-03-1.py").read_text() == "my work"
    assert "learn check exercise-03-1.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["99"], "there is no chapter 99; there are 0"),
        (["03", "17"], "has exercises 1 to 6, and no 17"),
        (["check"], "which file?"),
        (["open"], "which chapter?"),
        (["check", "nowhere.py"], "want a file of Python that is there"),
        (["check", "empty.py"], "no exercise asks for nothing"),
        (["03", "1", "--out", "mine.txt"], "ends in .py"),
        (["03", "1", "--out", "nowhere.py/mine.py"], "cannot write"),
        (["03", "--out", "mine.py"], "--out goes with"),
    ],
)
def test_bad_input_is_one_line(args, words, capsys):
    Path("empty.py").write_text("")
    if "nowhere.py/" in args[-1]:
        Path("nowhere.py").write_text("")
    assert run(*args) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_an_answer_that_leaves_is_not_right(capsys):
    assert run("03", "1", "--out", "mine.py") == 0
    text = Path("mine.py").read_text("utf-8")
    name = "".join(part.partition("(")[0] for part in text.split("\ndef ")[1:2])
    Path("mine.py").write_text(text + f"\n\ndef {name}(*args):\n    raise SystemExit(0)\n", "utf-8")
    capsys.readouterr()
    assert run("check", "mine.py", "--json", "row.json") == 1
    assert "SystemExit: 0" in capsys.readouterr().out
    assert json.loads(Path("row.json").read_text("utf-8"))["rows"][0]["right"] is False


def test_without_the_chapters_one_line_says_so(monkeypatch, capsys, tmp_path):
    book.chapters.cache_clear()
    monkeypatch.setattr(book, "CHAPTERS", tmp_path / "none")
    try:
        assert run() == 2
    finally:
        book.chapters.cache_clear()
    assert "needs a clone of minigen" in capsys.readouterr().err


def test_a_chapter_without_exercises_has_none_to_write(monkeypatch, capsys, tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "15-more.md").write_text("# 15 · More\n\n**It takes** 5 minutes to read.\n")
    book.chapters.cache_clear()
    monkeypatch.setattr(book, "CHAPTERS", tmp_path / "chapters")
    try:
        assert run("15") == 0
    finally:
        book.chapters.cache_clear()
    said = capsys.readouterr().out
    assert "15 · More" in said
    assert "writes the file" not in said


@pytest.mark.parametrize("browser", [True, False])
def test_open_opens_the_notebook_or_prints_how(browser, monkeypatch, capsys):
    calls = []

    def get():
        if not browser:
            raise webbrowser.Error

    monkeypatch.setattr(webbrowser, "get", get)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert run("open", "07") == 0
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={Path(learn.__file__).parents[2]}",
        "--LabApp.default_url=/lab/tree/notebooks/07-vae.ipynb",
    ]
    assert calls == ([command] if browser else [])
    assert ("no browser here" in capsys.readouterr().out) is not browser


def test_open_says_how_to_install_jupyter(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("open", "07") == 0
    assert "`make lab`" in capsys.readouterr().out
