"""A training to watch: what is trained, what one sees of it, and what one measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from minigen.errors import InputError
from minigen.gradcheck.slips import Mutant
from minigen.typing import Array

OWN_LOSS = "own_loss"  # among the figures of every family


class Figure(NamedTuple):
    """What a number is, which way is better, +1 or -1, and by how much a worse one still looks the same.

    near is None where nobody would see it.
    """

    words: str
    better: int
    near: float | None = None


class Points(NamedTuple):
    """Samples (N, 2) over data (M, 2)."""

    samples: Array
    data: Array


class Images(NamedTuple):
    """Lines (R, C, D) of images of `shape`, and what each line shows."""

    lines: Array
    shape: tuple[int, int]
    words: tuple[str, ...]


class Curve(NamedTuple):
    """A number after every epoch."""

    values: list[float]
    words: str


Picture = Points | Images | Curve


@dataclass(frozen=True)
class Scene:
    """A model to train on rows for some epochs; `measure` and `picture` look at it when it is trained.

    watch: called after every epoch, where the picture is of what went on meanwhile.
    """

    model: Any
    rows: Any
    epochs: int
    batch: int
    seed: int
    measure: Callable[[], dict[str, float]]
    picture: Callable[[], Picture]
    watch: Callable[[], None] = lambda: None


class Side(NamedTuple):
    """What became of a training: figures, losses epoch by epoch, a picture; or why it stopped."""

    figures: dict[str, float]
    losses: dict[str, list[float]]
    picture: Picture | None
    seconds: float
    stopped: str = ""


class Family(NamedTuple):
    """A demonstration: `build(mutant, planted, seed, epochs)`, with the slip in it or without it.

    Data, noise and settings are the same in both; epochs are those of the family where None is given.
    """

    title: str
    build: Callable[[Mutant, bool, int, int | None], Scene]
    figures: dict[str, Figure]


def run(scene: Scene, report: Callable[..., None] | None = None) -> Side:
    """Train and look.  A training whose numbers overflow has no figures, and says when it stopped."""
    from minigen.training.loop import Plan, train

    def after(state: Any, logged: dict[str, float]) -> None:
        if "epoch" in logged:
            history.append(logged)
            scene.watch()
        if report:
            report(state, logged)

    history: list[dict[str, float]] = []
    began, stopped = process_time(), ""
    with np.errstate(all="ignore"):  # an overflow is part of the story
        scene.model.start(scene.rows)
        try:
            train(scene.model, scene.rows, Plan(scene.epochs, scene.batch, scene.seed), report=after)
        except InputError as error:  # a loss or scores that are no numbers
            stopped = str(error).partition(":")[0]
        if not stopped and not all(np.isfinite(w).all() for w in scene.model.params.values()):
            stopped = "a weight is not finite after the last step"
        figures, picture = ({}, None) if stopped else (scene.measure(), scene.picture())
    if not stopped:
        figures[OWN_LOSS] = history[-1]["loss"]
    drawn = [name for name in history[0] if name in ("loss", "generator")] if history else []
    losses = {name: [row[name] for row in history] for name in drawn}
    return Side(figures, losses, picture, process_time() - began, stopped)


def looks_fine(family: Family, right: Side, broken: Side) -> bool:
    """Whether every figure that one would see is as good as the right one's, or so near that it looks it."""
    return not broken.stopped and all(
        figure.better * (broken.figures[name] - right.figures[name]) >= -figure.near
        for name, figure in family.figures.items()
        if figure.near is not None
    )
