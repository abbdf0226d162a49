"""The adversary's ledger: CFGAN on the split of its authors, with one part taken away at a time.

A run is a folder, and is not run again; a variant's settings and number of epochs are chosen once, on a
fifth of the training clicks, with the first seed, and all seeds are then trained on all clicks for so long.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigen.data.interactions import Split
from minigen.data.published import with_validation
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.files import read_json, write_text
from minigen.ladder import CFGAN, IALS
from minigen.recommender.base import Recommender
from minigen.recommender.baselines import EASE, Popularity

METRICS = ("precision@5", "ndcg@5", "precision@20", "ndcg@20", "recall@20")
CHOICE = "ndcg@100"  # what a choice is made by, as everywhere
VALIDATION_SHARE = 0.2
PASSES = 750, 800, 850, 900, 950, 1000  # of G, among which the authors draw

FULL, RECIPE = "cfgan", "cfgan, authors' recipe"
ALONE, SQUARES = "gan weight 0", "squares for the adversary"
VARIANTS: dict[str, dict[str, Any]] = {
    FULL: {},
    ALONE: {"gan": 0.0},
    RECIPE: {},
    SQUARES: {"gan": 0.0},
    "zero reconstruction alone": {"pm": 0.0},
    "partial masking alone": {"zr": 0.0},
    "neither": {"zr": 0.0, "pm": 0.0},
    "noise beside the row": {"noise": 100},
    "D frozen": {"passes_d": 0},
}
_WEIGHTS = (0.01, 0.03, 0.1)  # each form has one weight, and as many values are tried
TRIED: dict[str, list[dict[str, Any]]] = {
    FULL: [{"alpha": weight} for weight in _WEIGHTS],
    SQUARES: [{"clicks": weight} for weight in _WEIGHTS],
}
_IALS = (("factors", (16, 32, 64)), ("alpha0", (0.1, 0.3, 1.0)), ("l2", (0.001, 0.003, 0.01, 0.03)))
BASELINES: dict[type[Recommender], list[dict[str, Any]]] = {
    Popularity: [{}],
    EASE: [{"l2": float(l2)} for l2 in (50, 100, 150, 200, 300, 400, 500, 600, 750, 1000)],
    IALS: [dict(zip((name for name, _ in _IALS), v)) for v in product(*(values for _, values in _IALS))],
}

Row = dict[str, Any]
Watch = Callable[[str, int], AbstractContextManager[Any]]


class Difference(NamedTuple):
    """A mean difference of two variants, and its standard error over users and seeds."""

    mean: float
    se: float
    seeds: int


class Ledger:
    """The ledger of a split in the folder `runs`; `settings` are CFGAN's for every variant.

    `watch(what, epochs)` is entered for each training, and gives its `report`.
    """

    def __init__(self, split: Split, runs: Path, seeds: int, settings: dict[str, Any], watch: Watch) -> None:
        self.split, self.runs, self.seeds, self.settings, self.watch = split, runs, seeds, settings, watch
        self.cut = with_validation(split, VALIDATION_SHARE, seed=0)

    def rows(self) -> Iterator[list[Row]]:
        """What there is of the ledger in its folder, after each run: a row a baseline and a variant."""
        baselines = [self._baseline(kind, tried) for kind, tried in BASELINES.items()]
        for seed in range(self.seeds):
            for variant in VARIANTS:
                self._run(variant, seed)
                yield baselines + [summary(name, rows) for name in VARIANTS if (rows := self._there(name))]

    def difference(self, one: str, other: str, metric: str = "ndcg@20") -> Difference:
        """How much better `one` is than `other`: paired by users and by seeds, of the runs that both have."""
        files = [[self._folder(v, seed) / "row.json" for v in (one, other)] for seed in range(self.seeds)]
        pairs = [[read_json(file)["per_user"][metric] for file in two] for two in files if _exist(two)]
        d = np.array([np.subtract(*two) for two in pairs])  # (seeds, users)
        return Difference(float(d.mean()), _se(d), len(d))

    def _there(self, variant: str) -> list[Row]:
        seeds = range(self.seeds)
        return [self._run(variant, n) for n in seeds if (self._folder(variant, n) / "row.json").exists()]

    def _run(self, variant: str, seed: int) -> Row:
        chosen, more = self._chosen(variant, seed)
        model = CFGAN(**chosen | {"seed": seed})
        folder = self._folder(variant, seed)

        def measured() -> Row:
            began, fresh = time.process_time(), not (folder / "LATEST").exists()
            self._fit(model, self.split, folder, f"{variant}, seed {seed}")
            seconds = round(time.process_time() - began, 1) if fresh else None  # of a run in one piece
            return self._measured(model) | more | {"cpu_seconds": seconds}

        return kept_row(folder / "row.json", {"settings": model.settings}, measured)

    def _chosen(self, variant: str, seed: int) -> tuple[dict[str, Any], Row]:
        """The settings of a variant, and how they were chosen: what is taken away is taken from the best."""
        if variant == RECIPE:
            drawn = int(np.random.default_rng([seed, 3]).choice(PASSES))
            epochs = drawn // self.settings.get("passes_g", CFGAN.defaults.passes_g)
            note = "the authors' settings, epochs drawn as they draw them, from no data"
            return self.settings | {"epochs": epochs}, {"note": note}
        base = self.settings if variant == FULL else self._chosen(FULL, 0)[0]
        base = base | VARIANTS[variant] | {"epochs": self.settings["epochs"]}
        tried = TRIED.get(variant, [{}])

        def trials() -> Row:
            scores = []
            for n, settings in enumerate(tried):
                model = CFGAN(**base | settings | {"seed": 0})
                self._fit(
                    model, self.cut, self._folder(variant, f"choice {n}"), f"{variant}, choice {settings}"
                )
                scores.append(settings | {"epochs": model.state.best_epoch, CHOICE: model.state.best_score})
            return {"trials": scores}

        more = kept_row(self._folder(variant, "choice.json"), {"settings": base, "tried": tried}, trials)
        best = dict(max(more["trials"], key=lambda trial: trial[CHOICE]))
        del best[CHOICE]
        note = "settings and epochs chosen on the validation cut, with seed 0"
        return base | best, {"trials": more["trials"], "note": note}

    def _fit(self, model: CFGAN, data: Split, folder: Path, what: str) -> None:
        resume = (folder / "LATEST").exists()
        with self.watch(what, model.config.epochs) as report:
            model.fit(data.train, data.validation, run=folder, resume=resume, report=report)

    def _baseline(self, kind: type[Recommender], tried: list[dict[str, Any]]) -> Row:
        validation, metric = self.cut.validation, f"ndcg@{min(100, len(self.split.items))}"
        assert validation is not None

        def measured() -> Row:
            models = [kind(**settings).fit(self.cut.train) for settings in tried]
            scores = [evaluate(model, validation, (metric,)).mean(metric) for model in models]
            trials = [settings | {CHOICE: score} for settings, score in zip(tried, scores)]
            best = kind(**tried[int(np.argmax(scores))]).fit(self.split.train)
            return self._measured(best) | {"trials": trials, "note": "chosen on the validation cut"}

        return summary(kind.id, [kept_row(self.runs / kind.id / "row.json", {"tried": tried}, measured)])

    def _measured(self, model: Recommender) -> Row:
        result = evaluate(model, self.split.test, METRICS)
        per_user = {name: values.tolist() for name, values in result.per_user.items()}
        return {"family": model.family, "settings": model.settings, "per_user": per_user}

    def _folder(self, variant: str, which: object) -> Path:
        return self.runs / f"{variant} {which}".replace(",", "").replace("'", "").replace(" ", "-")


def summary(name: str, rows: list[Row]) -> Row:
    """The row of a result file: means over users and seeds, standard errors over users and over seeds."""
    values = {m: np.array([row["per_user"][m] for row in rows]) for m in rows[0]["per_user"]}
    by_seed = {m: v.mean(axis=1) for m, v in values.items()}
    first, seeds = rows[0], [row["settings"].get("seed") for row in rows]
    row = {"model": name, "family": first["family"], "settings": first["settings"], "seeds": seeds}
    row |= {"users": values["ndcg@20"].shape[1], "note": first["note"], "trials": first.get("trials", [])}
    row["metrics"] = {m: float(v.mean()) for m, v in values.items()}
    row["se"] = {m: _se_over(v.mean(axis=0)) for m, v in values.items()}
    if len(rows) > 1:
        row["se_seeds"] = {m: _se_over(v) for m, v in by_seed.items()}
    if "cpu_seconds" in first:
        row["by_seed"] = {m: v.tolist() for m, v in by_seed.items()}
        row["epochs"] = [r["settings"]["epochs"] for r in rows]
        row["cpu_seconds"] = [r["cpu_seconds"] for r in rows]
    return row


def kept_row(file: Path, asked: dict[str, Any], find: Callable[[], Row]) -> Row:
    """What `find` finds, from the file where it is kept; raises InputError where that was asked otherwise."""
    if not file.exists():
        write_text(file, json.dumps({"asked": asked} | find()))
    kept = read_json(file)
    if not isinstance(kept, dict) or "asked" not in kept:
        raise InputError(f"{file} holds no row: remove it, or choose another --runs")
    if kept["asked"] != asked:
        raise InputError(f"{file} is of other settings: remove it and its folder, or choose another --runs")
    return kept


def _se(d: np.ndarray) -> float:
    """Of the mean of d (seeds, users): both are drawn, and their variances add up."""
    over_seeds = _se_over(d.mean(axis=1)) if len(d) > 1 else 0.0
    return math.hypot(_se_over(d.mean(axis=0)), over_seeds)


def _se_over(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(values.size)


def _exist(files: list[Path]) -> bool:
    return all(file.exists() for file in files)
