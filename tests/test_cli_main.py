"""Whatever happens within a command ends in one line and a code, and only a slip of ours in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from minigen.cli import main


@pytest.fixture
def ended(monkeypatch, capsys):
    """A command within which an error comes up; gives the code and what stands on stderr."""

    def call(error: BaseException) -> tuple[int, str]:
        def load_run(run):
            raise error

        monkeypatch.setattr("minigen.ladder.load_run", load_run)
        with pytest.raises(SystemExit) as stop:
            main(["export", "run"])
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            MemoryError(),
            2,
            "out of memory: try fewer items (a larger --k-core), or a smaller --set hidden=...",
        ),
        (PermissionError(13, "Permission denied", "run/ids.json"), 2, "run/ids.json: Permission denied"),
        (OSError("the disk is full"), 2, "the disk is full"),
        (ModuleNotFoundError("No module named 'polars.io'", name="polars.io"), 2, "pip install polars"),
        (typer.Abort(), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (typer.Exit(130), 130, "interrupted"),  # what newer versions of the command line make of Ctrl-C
    ],
)
def test_an_error_is_one_line(error, code, line, ended):
    got, said = ended(error)
    assert got == code
    assert said.splitlines()[-1].startswith("minigen: ")
    assert line in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a slip"), ModuleNotFoundError("no minigen.x", name="minigen.x")]
)
def test_a_slip_of_ours_is_not_hidden(error, monkeypatch):
    def load_run(run):
        raise error

    monkeypatch.setattr("minigen.ladder.load_run", load_run)
    with pytest.raises(type(error)) as found:
        main(["export", "run"])
    assert found.value is error


@pytest.mark.parametrize("words", [["bench", "--preset", "list"], ["--version"]])
def test_a_reader_of_a_pipe_that_went_away_is_told_nothing(words):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "minigen", *words], **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_command_that_ends_by_itself_keeps_its_code(ended):
    assert ended(SystemExit(3)) == (3, "")


@pytest.mark.parametrize("words", [[], ["data"]])
def test_without_a_command_there_is_help_and_no_empty_line(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    said = capsys.readouterr()
    assert stop.value.code in (0, 2)  # older versions of the command line call it no error
    assert "Commands" in said.out + said.err
    assert "minigen: " not in said.err


def test_a_terminal_that_cannot_show_a_character_gets_its_number(shop_run):
    words = [sys.executable, "-m", "minigen", "evaluate", str(shop_run)]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xb1" in done.stdout
