"""The command `minigen`: a file a command, and one place where errors become one line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from io import TextIOWrapper

import typer

from minigen.errors import InputError, Interrupted

HINT = "Start with `minigen demo`."

# A module each, which holds a function or a Typer of that name; `minigen --help` lists them in this order.
COMMANDS = (
    "demo",
    "train",
    "compare",
    "evaluate",
    "recommend",
    "export",
    "gradcheck",
    "trace",
    "where",
    "learn",
    "bench",
    "data",
    "generate",
    "reproduce",
    "study",
)


def _version(show: bool) -> None:
    if show:
        from minigen import __version__

        typer.echo(f"minigen {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Options of every command."""


@cache  # who calls main again needs no second one
def _app(named: str | None) -> typer.Typer:
    """The command line with the command that is named; where none is, with all, but for the list alone.

    To import every command and to read its flags takes longer than most commands need to begin.
    """
    app = typer.Typer(
        name="minigen",
        help=f"Deep generative models for recommendation, from scratch. {HINT}",
        callback=_root,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in [named] if named else COMMANDS:
        module = import_module(f"minigen.cli.{name}")
        group: typer.Typer | None = getattr(module, "app", None)
        if not named:
            app.command(name)(_listed(group.info.help if group else getattr(module, name).__doc__))
        elif group:
            app.add_typer(group, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _listed(what: str | None) -> Callable[[], None]:
    def command() -> None: ...

    command.__doc__ = what
    return command


def main(args: list[str] | None = None) -> None:
    """Run a command and exit: 0, 2 with one line for bad input, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name that the terminal cannot show ends no command
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if args is None else args
    named = next((word for word in words if not word.startswith("-")), None)
    warnings.formatwarning = lambda message, *_: f"minigen: {message}\n"  # for people: one line, no source
    try:
        app = _app(named if named in COMMANDS else None)
        code = app(words, standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except Interrupted as stop:
        _fail(f"interrupted; {stop}", 130)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except MemoryError:
        _fail(
            "out of memory: try fewer items (a larger --k-core), or a smaller --set hidden=... or batch=..."
        )
    except SystemExit as stop:
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        sys.exit(0)  # the reader of a pipe went away: nobody is left to tell
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "minigen"):
            raise
        _fail(f"{library} is missing here: pip install {library}")
    except Exception as error:
        # The command line's own errors; their class moved between versions, their form did not.
        if type(error).__name__ == "Abort":
            _fail("interrupted", 130)
        if not hasattr(error, "format_message"):
            raise
        if not error.format_message():  # no command at all: its help has been printed
            sys.exit(2)
        _fail(error.format_message(), getattr(error, "exit_code", 2))
    if code == 130:  # newer versions of the command line turn Ctrl-C into this code themselves
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> None:
    print(f"minigen: {InputError(message)}", file=sys.stderr)
    sys.exit(code)
