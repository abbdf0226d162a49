"""Trials of many models on one set of validation users, each kept in its own file as soon as it is known."""

from __future__ import annotations

import json
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from minigen.data.interactions import HeldOut
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.files import read_json, write_text
from minigen.recommender.base import Recommender
from minigen.recommender.trained import AutoencoderRecommender
from minigen.tuning.plan import Cost, Share, make_plan

FAILURES = 3  # settings that fail one after another before a model is given up

Trial = dict[str, Any]
Watch = Callable[[str, int], AbstractContextManager[Any]]


class Entrant(NamedTuple):
    """A model's settings that are given, and all that a choice may look at: there is no test part in it."""

    settings: dict[str, Any]
    train: csr_matrix
    validation: HeldOut


@dataclass
class Outcome:
    """A model's trials; its best settings, or None with the `error` that kept it from having any."""

    trials: list[Trial]
    share: Share | None = None
    best: int | None = None
    error: str | None = None
    cut: int = 0  # the last epoch, where time ended before the model's own number of them
    seconds: float = field(init=False)

    def __post_init__(self) -> None:
        self.seconds = sum(sum(trial["seconds"].values()) for trial in self.trials)


def candidates(kind: type[Recommender], fixed: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Settings to try: the model's own, then every other combination of its `search` in an order of `seed`.

    `fixed` settings stay as they are.
    """
    own = kind(**fixed).settings
    search = {name: values for name, values in kind.search.items() if name not in fixed}
    grid = [dict(zip(search, values)) for values in product(*search.values())]
    others = [point for point in grid if any(own[name] != value for name, value in point.items())]
    order = np.random.default_rng([seed, zlib.crc32(kind.id.encode())]).permutation(len(others))
    return [{}, *(others[n] for n in order)]


class Contest:
    """A contest in a folder, by the validation `metric`; `watch(what, epochs)` gives a trial's report.

    What stands in the folder already is not run again.
    """

    def __init__(
        self, entrants: dict[type[Recommender], Entrant], metric: str, folder: Path, seed: int, watch: Watch
    ) -> None:
        self.entrants, self.metric, self.folder, self.watch = entrants, metric, folder, watch
        self.points = {kind: candidates(kind, one.settings, seed) for kind, one in entrants.items()}

    def outcomes(self, seconds: float) -> Iterator[tuple[type[Recommender], Outcome]]:
        """Measure, share out `seconds`, and tune, a model after the other."""
        first = {kind: self._first(kind) for kind in self.entrants}
        file = self.folder / "plan.json"
        if not file.exists():
            part = seconds / len(first)
            costs = {kind.id: self._cost(kind, n, part) for kind, n in first.items() if n is not None}
            plan = make_plan(seconds, costs)
            write_text(file, json.dumps({name: share._asdict() for name, share in plan.items()}, indent=1))
        shares = _shares(file, [kind.id for kind, n in first.items() if n is not None])
        for kind, n in first.items():
            if n is None:
                trials = [self._record(kind, m) for m in range(min(FAILURES, len(self.points[kind])))]
                yield kind, Outcome(trials, error=trials[0]["error"])
            else:
                yield kind, self._tuned(kind, n, shares[kind.id])

    def fitted(self, kind: type[Recommender], outcome: Outcome) -> Recommender:
        """The best of a model's trials."""
        assert outcome.best is not None
        if issubclass(kind, AutoencoderRecommender):
            return kind.load(self._folder(kind, outcome.best))
        return self._model(kind, outcome.best).fit(self.entrants[kind].train)

    def _first(self, kind: type[Recommender]) -> int | None:
        """The first settings that work, tried for one epoch or fit; None where too many do not."""
        for n in range(min(FAILURES, len(self.points[kind]))):
            if "error" not in self._tried(kind, n, 1):
                return n
        return None

    def _cost(self, kind: type[Recommender], first: int, part: float) -> Cost:
        seconds, epochs = self._rung(kind, first, 1), 0
        spent = seconds
        if issubclass(kind, AutoencoderRecommender):
            epochs = self._model(kind, first).settings["epochs"]
            if 4 * seconds < part and epochs > 1:  # a first epoch may have compiled its kernels
                self._tried(kind, first, 2)
                seconds = self._rung(kind, first, 2)
                spent += seconds
        return Cost(max(seconds, 1e-3), len(self.points[kind]) - first, epochs, spent)

    def _rung(self, kind: type[Recommender], n: int, until: int) -> float:
        try:
            return float(self._record(kind, n)["seconds"][str(until)])
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{self._file(kind, n)} has no time of epoch {until} to plan by: choose another --out"
            ) from None

    def _tuned(self, kind: type[Recommender], first: int, share: Share) -> Outcome:
        alive = tried = list(range(first, first + share.candidates))
        rungs = share.rungs if share.epochs else [(share.candidates, 1)]
        for n, until in rungs:
            scores = {m: self._tried(kind, m, until)["scores"].get(str(until)) for m in alive[:n]}
            working = [m for m in scores if scores[m] is not None]
            if not working:
                break
            for m in set(alive) - set(working):
                shutil.rmtree(self._folder(kind, m), ignore_errors=True)  # a checkpoint nobody goes on with
            alive = sorted(working, key=lambda m: (-scores[m], m))
        outcome = Outcome([self._record(kind, m) for m in range(tried[-1] + 1)], share, alive[0])
        own = self._model(kind, first).settings.get("epochs", 0) if share.epochs else 0
        outcome.cut = share.epochs if share.epochs < own else 0
        return outcome

    def _tried(self, kind: type[Recommender], n: int, until: int) -> Trial:
        """The record of a trial that was trained to the epoch `until`, or as far as it would go."""
        trial = self._record(kind, n)
        if "error" in trial or str(until) in trial["scores"]:
            return trial
        began = time.perf_counter()
        try:
            trial["scores"][str(until)] = self._score(kind, n, until)
        except (InputError, MemoryError) as error:
            trial["error"] = str(error) or "out of memory"
        trial["seconds"][str(until)] = round(time.perf_counter() - began, 3)
        write_text(self._file(kind, n), json.dumps(trial))
        return trial

    def _score(self, kind: type[Recommender], n: int, until: int) -> float:
        model, (_, train, validation), folder = (
            self._model(kind, n),
            self.entrants[kind],
            self._folder(kind, n),
        )
        if not isinstance(model, AutoencoderRecommender):
            return evaluate(model.fit(train), validation, (self.metric,)).mean(self.metric)
        what = (
            ", ".join(f"{name}={value}" for name, value in self.points[kind][n].items()) or "its own settings"
        )
        with self.watch(f"{kind.id}, {what}", until) as report:
            resume = (folder / "LATEST").exists()
            model.fit(train, validation, run=folder, resume=resume, until=until, report=report)
        return evaluate(model, validation, (self.metric,)).mean(self.metric)  # as it is served

    def _model(self, kind: type[Recommender], n: int) -> Recommender:
        return kind(**self.entrants[kind].settings | self.points[kind][n])

    def _record(self, kind: type[Recommender], n: int) -> Trial:
        file = self._file(kind, n)
        new: Trial = {"settings": self.points[kind][n], "scores": {}, "seconds": {}}
        if not file.exists():
            return new
        trial = read_json(file)
        if not isinstance(trial, dict) or {type(trial.get(key)) for key in new} != {dict}:
            raise InputError(f"{file} holds no trial: remove it, or choose another --out")
        return trial

    def _file(self, kind: type[Recommender], n: int) -> Path:
        return self.folder / kind.id / f"trial-{n}.json"

    def _folder(self, kind: type[Recommender], n: int) -> Path:
        return self.folder / kind.id / f"trial-{n}"


def _shares(file: Path, names: list[str]) -> dict[str, Share]:
    """The plan in `file`; raises InputError where it has no share of one of the `names`."""
    try:
        plan = read_json(file)
        shares = {name: Share(**plan[name]) for name in names}
        if all(type(n) is int for share in shares.values() for n in share):
            return shares
    except (KeyError, TypeError):
        pass
    raise InputError(f"{file} is no plan for {', '.join(names)}: remove it, or choose another --out")
