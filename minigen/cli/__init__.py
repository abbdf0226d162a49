"""The command `minigen`: a file a command, and one place where errors become one line."""

from __future__ import annotations

import sys
import warnings
from functools import cache

import typer

from minigen.errors import InputError, Interrupted

HINT = "Start with `minigen demo`."

app = typer.Typer(
    name="minigen",
    help=f"Deep generative models for recommendation, from scratch. {HINT}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(show: bool) -> None:
    if show:
        from minigen import __version__

        typer.echo(f"minigen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Options of every command."""


@cache  # who calls main again needs no second set
def _register() -> None:
    from minigen.cli import (
        bench,
        compare,
        data,
        demo,
        evaluate,
        export,
        generate,
        gradcheck,
        learn,
        recommend,
        reproduce,
        study,
        trace,
        train,
        where,
    )

    app.command("demo")(demo.demo)
    app.command("train")(train.train)
    app.command("compare")(compare.compare)
    app.command("evaluate")(evaluate.evaluate)
    app.command("recommend")(recommend.recommend)
    app.command("export")(export.export)
    app.command("gradcheck")(gradcheck.gradcheck)
    app.command("trace")(trace.trace)
    app.command("where")(where.where)
    app.command("learn")(learn.learn)
    app.command("bench")(bench.bench)
    app.add_typer(data.app, name="data")
    app.add_typer(generate.app, name="generate")
    app.add_typer(reproduce.app, name="reproduce")
    app.add_typer(study.app, name="study")


def main(args: list[str] | None = None) -> None:
    """Run a command and exit: 0, 2 with one line for bad input, 130 after Ctrl-C."""
    _register()
    warnings.formatwarning = lambda message, *_: f"minigen: {message}\n"  # for people: one line, no source
    try:
        code = app(args, standalone_mode=False)
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
        _fail(error.format_message(), getattr(error, "exit_code", 2))
    if code == 130:  # newer versions of the command line turn Ctrl-C into this code themselves
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> None:
    print(f"minigen: {InputError(message)}", file=sys.stderr)
    sys.exit(code)
