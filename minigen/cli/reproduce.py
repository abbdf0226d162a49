"""`minigen reproduce`: a published experiment, by its own schedule, as far as time allows."""

from __future__ import annotations

import signal
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minigen.cli import work

if TYPE_CHECKING:
    import numpy as np

    from minigen.reproduce.iwae_mnist import Settings
    from minigen.training.loop import State

app = typer.Typer(help="Make a published experiment again, and write its row.", no_args_is_help=True)


@app.callback()
def _experiments() -> None:
    """A command for each experiment."""


@app.command("iwae-mnist")
def iwae_mnist(
    data: Annotated[Path, typer.Argument(help="Folder of MNIST: idx files, or mnist0.npz to mnist9.npz.")],
    k: Annotated[int, typer.Option(help="Samples in the bound; 1 is the VAE.")] = 1,
    run: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/iwae-mnist"),
    stages: Annotated[int, typer.Option(help="Of the schedule's eight; stage i has 3^(i-1) epochs.")] = 8,
    hours: Annotated[
        float | None,
        typer.Option(help="Stop after so long, and measure what there is; 0 measures without training."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run after a stop.")] = False,
    samples: Annotated[int, typer.Option(help="Importance samples of each test image.")] = 5000,
    images: Annotated[int | None, typer.Option(help="Measure on so many test images only.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, bits and noise.")] = 0,
    checkpoint_seconds: Annotated[float, typer.Option(help="Time between checkpoints.")] = 60.0,
    json: Annotated[
        Path | None, typer.Option(help="Put the row into this file, with those of other k.")
    ] = None,
) -> None:
    """Table 1 of Burda et al. 2016: 784-200-200-50 on MNIST, bits drawn anew each time, NLL by samples."""
    import scipy.linalg.blas  # noqa: F401 - its BLAS must be there to be limited: the compiled step calls it
    from threadpoolctl import threadpool_limits

    from minigen.cli.output import print_table
    from minigen.errors import InputError
    from minigen.provenance import Clock
    from minigen.reproduce.iwae_mnist import Settings, training_images

    settings = Settings(k, stages, seed)
    if samples < 1 or (images is not None and images < 1):
        raise InputError("--samples and --images: want at least 1")
    clock = Clock()
    train_images, test_images = training_images(data)
    with threadpool_limits(1, user_api="blas"):  # at batch 20 a second thread only waits
        if hours != 0:
            _train(settings, train_images, run, resume, hours, checkpoint_seconds)
        row = _measure(run, test_images[:images], samples)
        record = clock.provenance(seed, sha256(train_images.tobytes() + test_images.tobytes()).hexdigest())
    print_table(
        "Test images, nats by importance sampling",
        ["model", "nll_nats", "se", "active units", "epochs", "planned", "hours"],
        [[row["model"], row["metrics"]["nll_nats"], row["se"]["nll_nats"], row["metrics"]["active_units"],
          f"{row['epochs']:.1f}", row["epochs_planned"], f"{row['seconds'] / 3600:.2f}"]],
    )  # fmt: skip
    if json:
        _put(json, row, record)


@app.command("cfgan")
def cfgan(
    data: Annotated[Path, typer.Argument(help="Folder of the authors' split: ML100K.train, ML100K.test.")],
    runs: Annotated[
        Path, typer.Option(help="Folder of all its runs; those that are there are not run again.")
    ] = (Path("runs/cfgan-ledger")),
    seeds: Annotated[int, typer.Option(help="Runs of each variant.")] = 5,
    epochs: Annotated[int, typer.Option(help="The most that a choice may choose.")] = 600,
    backend: Annotated[str, typer.Option(help="Whose operations train: numpy or numba.")] = "numba",
    json: Annotated[
        Path | None, typer.Option(help="Write the ledger to this file, after each run anew.")
    ] = None,
) -> None:
    """What the adversary adds: CFGAN (Chae et al. 2018) with one part taken away, beside baselines."""
    from minigen.cli.ledger import run_ledger
    from minigen.errors import InputError

    if seeds < 1:
        raise InputError("--seeds: want at least 1")
    run_ledger(data, runs, seeds, {"epochs": epochs, "backend": backend}, json)


@app.command("behaviours")
def behaviours(
    events: Annotated[str, typer.Argument(help="Events of several behaviours, or a folder of their splits.")],
    target: Annotated[str, typer.Option(help="The behaviour to recommend.")],
    split: work.SplitOption = "weak",
    unseen: work.UnseenOption = False,
    runs: Annotated[Path, typer.Option(help="Folder of the rows that are done.")] = Path("runs/behaviours"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of both autoencoders; repeatable."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Weights of the heads to try beside equal costs; repeatable."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the table to this file, after each row anew.")
    ] = None,
) -> None:
    """What views and carts add to purchases: models of the target alone beside models of all behaviours."""
    from minigen.cli.behaviours import run_table
    from minigen.cli.settings import parse_settings
    from minigen.recommender import MultVAE

    chosen = {"seed": 0, **parse_settings(MultVAE, settings or [])}
    chosen.setdefault("epochs", MultVAE.defaults.epochs)
    run_table(events, target, split, unseen, runs, chosen, ["", *(weights or [])], json)


def _train(
    settings: Settings,
    images: np.ndarray,
    run: Path,
    resume: bool,
    hours: float | None,
    checkpoint_seconds: float,
) -> None:
    import numpy as np

    from minigen.cli.progress import SILENCE, progress
    from minigen.errors import Interrupted
    from minigen.reproduce.iwae_mnist import BATCH, STEPS, Experiment
    from minigen.training.loop import Plan, train

    end = None if hours is None else time.monotonic() + 3600 * hours

    def report(state: State, logged: dict[str, float]) -> None:
        show(state, logged)
        over = end is not None and time.monotonic() >= end
        if over and "epoch" not in logged:  # after a step: at the end of its epoch it would be the second
            signal.raise_signal(signal.SIGINT)  # as Ctrl-C: between two steps, and with a checkpoint

    plan = Plan(settings.epochs, BATCH * STEPS, settings.seed, checkpoint_seconds=checkpoint_seconds)
    try:
        with progress(settings.epochs, SILENCE) as show:
            train(
                Experiment(settings, images),
                np.arange(len(images)),
                plan,
                run=run,
                resume=resume,
                about=settings.about,
                report=report,
            )
    except KeyboardInterrupt:
        if end is None or time.monotonic() < end:
            raise Interrupted(f"add --resume to go on with {run}") from None


def _measure(run: Path, images: np.ndarray, samples: int) -> dict[str, Any]:
    from rich.progress import Progress

    from minigen.cli.output import console
    from minigen.reproduce.iwae_mnist import row_of

    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("measuring", total=len(images))
        return row_of(run, images, samples, lambda done: bar.update(task, completed=done))


def _put(file: Path, row: dict[str, Any], record: dict[str, Any]) -> None:
    """Write the row into `file`, beside those of other models and seeds and of the same at other epochs."""
    from minigen.errors import InputError
    from minigen.files import read_json
    from minigen.provenance import write_json

    rows: list[dict[str, Any]] = []
    if file.exists():
        document = read_json(file)
        if not isinstance(document, dict) or document.get("command") != "reproduce":
            raise InputError(f"{file} holds something else: choose another --json")
        rows = [r for r in document["rows"] if _which(r) != _which(row)]
    rows = sorted([*rows, row | {"provenance": record}], key=_which)
    write_json(file, "reproduce", {"experiment": "iwae-mnist"}, rows, record)


def _which(row: dict[str, Any]) -> tuple[int, list[int], float]:
    """A run cut short may stand beside its end: other k compare with it at equal epochs."""
    return row["settings"]["k"], row["seeds"], row["epochs"]
