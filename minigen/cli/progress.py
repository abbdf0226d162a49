"""One progress bar for everything that the training loop trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigen.training.loop import State

SILENCE = 60.0  # of `progress`, where a training takes hours


@contextmanager
def progress(epochs: int, silence: float = 10.0) -> Iterator[Callable[[State, dict[str, float]], None]]:
    """A bar to be called after every step and epoch, as the loop's `report`.

    Without a terminal there is a line at the end of an epoch, at most one in `silence` seconds.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from minigen.cli.output import console

    bar = Progress(
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task("train", total=float(epochs), figures="")
    said = [monotonic()]

    def report(state: State, logged: dict[str, float]) -> None:
        figures = " · ".join(f"{name} {value:.4g}" for name, value in logged.items() if name != "epoch")
        if "epoch" not in logged:
            if state.epoch == 0:  # later the figures of a whole epoch stand there, which say more
                bar.update(task, figures=figures)
            return
        bar.update(task, completed=state.epoch, figures=figures)
        if bar.disable and (monotonic() - said[0] >= silence or state.finished):
            said[0] = monotonic()
            console.print(f"epoch {state.epoch}/{epochs}: {figures}", soft_wrap=True)

    with nullcontext() if bar.disable else bar:  # older versions end one that is off with an empty line
        yield report


@contextmanager
def counted(what: str, total: int | None) -> Iterator[Callable[..., None]]:
    """A bar for work that is counted: to be called with what is done, and a total not known before."""
    from rich.progress import Progress

    from minigen.cli.output import console

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total=total: bar.update(task, completed=done, total=total)
