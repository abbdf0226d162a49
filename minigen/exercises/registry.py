"""Which exercises there are, and which functions each asks the reader for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

Answer = Callable[..., Any]  # a function that the reader writes

ROOMS = (  # as the chapters
    "notation",
    "recommendation",
    "gradcheck",
    "dense",
    "losses",
    "gan",
    "wgan",
    "vae",
    "iwae",
    "data",
    "recommender",
    "ladder",
    "backends",
    "frontier",
    "questions",
)

_EXERCISES: dict[tuple[str, int], Exercise] = {}


class Exercise(NamedTuple):
    """One exercise: `judge` takes the reader's functions by name and raises where one is wrong."""

    room: str
    number: int
    judge: Callable[..., None]

    @property
    def wants(self) -> tuple[str, ...]:
        """The names of the functions that the reader writes."""
        return tuple(inspect.signature(self.judge).parameters)


def exercise(number: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a check as exercise `number` of the chapter that its file is named after."""

    def register(judge: Callable[..., None]) -> Callable[..., None]:
        room = judge.__module__.rpartition(".")[2]
        _EXERCISES[room, number] = Exercise(room, number, judge)
        return judge

    return register


def exercises() -> list[Exercise]:
    """All exercises in the order of the book."""
    for room in ROOMS:
        import_module(f"minigen.exercises.{room}")
    return sorted(_EXERCISES.values(), key=lambda found: (ROOMS.index(found.room), found.number))


def asking_for(names: set[str]) -> Exercise | None:
    """The exercise whose functions all have their names in `names`; the one that asks for most of them."""
    fitting = [found for found in exercises() if names.issuperset(found.wants)]
    return max(fitting, key=lambda found: len(found.wants), default=None)
