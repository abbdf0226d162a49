"""One run of `minigen generate`: train, draw, measure."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from minigen.training.loop import Plan, State, Trainable, train
from minigen.typing import Array

if TYPE_CHECKING:
    from minigen.data.vectors import Vectors

FRAMES = 40  # of an animation, about
SHOWN_POINTS, SHOWN_IMAGES = 1000, 64


class Generative(Trainable, Protocol):
    """What this command needs of a model; `points` and `images` are its default settings for such data."""

    id: ClassVar[str]
    points: ClassVar[Any]
    images: ClassVar[Any]
    config: Any  # its settings; epochs and seed among them
    settings: dict[str, Any]
    batch: int  # rows of one training step

    def start(self, rows: Array) -> None:
        """Draw the weights that training on `rows` (N, D) begins with."""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n rows (n, D)."""

    def pictures(self, rows: Array, rng: np.random.Generator) -> dict[str, Array]:
        """More grids of images by name, (R, C, D) each, from held-out `rows`."""


def run_once(
    kind: Any, chosen: dict[str, Any], data: Vectors, out: Path, resume: bool, checkpoint_seconds: float
) -> dict[str, Any]:
    """Train, draw and measure: the row of one run."""
    from minigen.cli.pictures import write_animation, write_picture
    from minigen.cli.progress import progress
    from minigen.errors import Interrupted
    from minigen.evaluation.samples import measure_samples

    fitted: Generative = kind(kind.points if data.shape is None else kind.images, **chosen)
    config = fitted.config
    fitted.start(data.train)
    shown = SHOWN_POINTS if data.shape is None else SHOWN_IMAGES
    frames = out / "frames"
    shape = shown, data.train.shape[1]
    _kept(frames, shape)  # what is no frame is said before hours of training
    every = max(1, config.epochs // FRAMES)

    def draw(n: int) -> Array:
        return fitted.sample(n, np.random.default_rng([config.seed, 3]))  # the same noise in every frame

    def keep_frame(state: State, logged: dict[str, float]) -> None:
        if "epoch" in logged and (state.epoch % every == 0 or state.finished):
            frames.mkdir(parents=True, exist_ok=True)
            np.save(frames / f"{state.epoch:05d}.npy", draw(shown))
        report(state, logged)

    began, began_cpu = perf_counter(), process_time()
    try:
        with progress(config.epochs) as report:
            state = train(
                fitted,
                data.train,
                Plan(config.epochs, fitted.batch, config.seed, checkpoint_seconds=checkpoint_seconds),
                run=out,
                resume=resume,
                about={"model": fitted.id, "settings": fitted.settings, "data_hash": data.hash},
                report=keep_frame,
            )
    except KeyboardInterrupt:
        raise Interrupted(f"add --resume to go on with {out}") from None
    seconds, cpu_seconds = perf_counter() - began, process_time() - began_cpu

    write_picture(out / "samples.png", draw(shown), data.shape, data.test)
    if data.shape is not None:
        for name, grid in fitted.pictures(data.test, np.random.default_rng([config.seed, 4])).items():
            write_picture(out / f"{name}.png", grid, data.shape, data.test)
    write_animation(out / "training.gif", _kept(frames, shape), data.shape, data.test)
    return {
        "model": fitted.id,
        "family": "generative",
        "settings": fitted.settings,
        "metrics": measure_samples(draw, data),
        "steps": state.step,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
    }


def _kept(frames: Path, shape: tuple[int, int]) -> list[tuple[str, Array]]:
    """The titles and frames of an animation; raises InputError for another file among them."""
    from minigen.errors import InputError

    kept = []
    for file in sorted(frames.glob("*.npy")):
        try:
            kept.append((f"epoch {int(file.stem)}", np.load(file).reshape(shape)))
        except (ValueError, EOFError):
            raise InputError(f"{file} is no frame of an animation: remove it") from None
    return kept


def print_runs(rows: list[dict[str, Any]]) -> None:
    """Figures as a table: a run a line, that of real data beside that of samples."""
    from minigen.cli.output import print_table

    names = [name for name in rows[0]["metrics"] if not name.endswith("_real")]
    cells = []
    for row in rows:
        figures = row["metrics"]
        real = [f" ({figures[f'{name}_real']:.4f})" if f"{name}_real" in figures else "" for name in names]
        shown = [f"{figures[name]:.4g}{beside}" for name, beside in zip(names, real)]
        cells.append([row["model"], row["settings"]["seed"], *shown, f"{row['seconds']:.0f}"])
    print_table(
        "Samples against held-out rows (real rows in their place)", ["model", "seed", *names, "s"], cells
    )
