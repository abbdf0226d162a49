"""What other behaviours add: models of the target alone beside models of all, on the same people and items.

Every model ranks the same candidates, all items but those that a user is known to have bought, and is chosen
on the same validation pairs.  A row is kept in the folder of runs, and is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from minigen.data.behaviours import known_parts, of_target
from minigen.data.interactions import HeldOut, Split
from minigen.errors import InputError
from minigen.evaluation.bootstrap import paired_bootstrap
from minigen.evaluation.metrics import PER_USER, find_hits, parse_metric
from minigen.ladder import BehaviourVAE, Spectral
from minigen.ladder.blocks import hide_touched
from minigen.ops import top_k
from minigen.ops.sparse import with_data
from minigen.recommender.base import Recommender
from minigen.recommender.baselines import EASE, Popularity
from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.trained import AutoencoderRecommender
from minigen.reproduce.cfgan import Row, kept_row
from minigen.typing import Array, Params

METRICS = ("recall@20", "ndcg@20")
CHOICE = "ndcg@100"  # what a choice is made by, as everywhere
_BATCH = 500
ALONE, ALL = "mult-vae, target alone", "behaviour-vae, all"
Settings = dict[str, Any]
Watch = Callable[[str, int], AbstractContextManager[Any]]


class Funnel(Recommender):
    """No model: what was touched by the behaviour nearest to the target first, then by the others, then the
    rest; popular items first among equals."""

    id, family = "funnel", "baseline"

    def __init__(self, behaviours: str = "") -> None:
        self.behaviours = behaviours
        self.params: Params = {}

    @property
    def n_items(self) -> int:
        """The number of columns C M."""
        return len(self.params["count"]) * len(self.behaviours.split(",")) if self.params else 0

    def fit(self, train: csr_matrix, validation: Any = None) -> Funnel:
        """Count the users of each item of the last block of `train` (U, C M)."""
        n_items = train.shape[1] // len(self.behaviours.split(","))
        count = np.bincount(train[:, -n_items:].indices, minlength=n_items)
        self.params = {"count": count.astype(np.float32)}
        return self

    def score(self, histories: csr_matrix) -> Array:
        """Scores (B, C M); those of the last block alone have a meaning."""
        count, scores = self.params["count"], np.zeros(histories.shape, np.float32)
        scores[:, -count.size :] = count
        touched = histories.tocoo()
        level = (1 + touched.col // count.size) * (count.max() + 1)
        np.maximum.at(
            scores, (touched.row, histories.shape[1] - count.size + touched.col % count.size),
            level + count[touched.col % count.size],
        )  # fmt: skip
        return scores

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """Zero: the order is by rule."""
        return with_data(histories, np.zeros(histories.nnz, np.float32))


class Variant(NamedTuple):
    """A model of the target alone or of all behaviours, and the settings that are tried."""

    name: str
    kind: type[Recommender]
    together: bool
    tried: list[Settings]


def variants(split: Split, settings: Settings, weights: list[str], fresh: bool) -> list[Variant]:
    """The rows of the table; `settings` are those of both autoencoders."""
    names = ",".join(split.behaviours)
    mine = settings | {"behaviours": names, "fresh": fresh}
    spectral = [{"factors": k, "gram": gram} for k in (32, 128) for gram in (1.0, 3.0)]
    together = [mine | {"weights": w} for w in weights]
    rows = [
        Variant("popularity, target alone", Popularity, False, [{}]),
        Variant("funnel, all", Funnel, True, [{"behaviours": names}]),
        Variant(ALONE, MultVAE, False, [settings]),
        Variant(ALL, BehaviourVAE, True, together),
        Variant("spectral, target alone", Spectral, False, spectral),
        Variant("spectral, all", Spectral, True, spectral),
        Variant("ease, target alone", EASE, False, [{"l2": l2} for l2 in (100.0, 300.0)]),
    ]
    return [row for row in rows if row.kind is not Funnel or not fresh]


class Experiment:
    """The table of a split of several behaviours in the folder `runs`.

    `watch(what, epochs)` is entered for each training, and gives its `report`.
    Raises InputError where the catalogue is shorter than the lists that are measured.
    """

    def __init__(
        self, split: Split, runs: Path, settings: Settings, weights: list[str], fresh: bool, watch: Watch
    ) -> None:
        self.split, self.alone, self.runs, self.fresh, self.watch = (
            split,
            of_target(split),
            runs,
            fresh,
            watch,
        )
        if len(self.alone.items) < parse_metric(CHOICE).k:
            raise InputError(f"{CHOICE}: the catalogue has {len(self.alone.items)} items")
        self.variants = variants(split, settings, weights, fresh)
        self.parts = {
            name: part for name, part in known_parts(split.test, split.behaviours).items() if part.target.nnz
        }

    @property
    def shares(self) -> dict[str, float]:
        """Of all pairs to be found, the share of each part: touched by a behaviour, or new."""
        return {name: part.target.nnz / self.split.test.target.nnz for name, part in self.parts.items()}

    def rows(self) -> Iterator[list[Row]]:
        """What there is of the table, after each row."""
        done: list[Row] = []
        for variant in self.variants:
            asked = {"hash": self.split.hash, "fresh": self.fresh, "tried": variant.tried}
            done.append(kept_row(self._path(variant, "row.json"), asked, partial(self._row, variant)))
            yield [self._shown(row, done) for row in done]

    def _row(self, variant: Variant) -> Row:
        data = self.split if variant.together else self.alone
        trials: list[Row] = []
        best: tuple[float, Recommender] | None = None
        for n, settings in enumerate(variant.tried):
            try:
                model = self._fit(variant, n, data)
            except InputError as error:  # more factors than a small catalogue has, too little memory
                trials.append(settings | {"failed": str(error)})
                continue
            assert self.split.validation is not None
            choice = self._measure(model, variant, {"all": self.split.validation}, (CHOICE,))
            score = float(choice["all"][CHOICE].mean())
            epochs = (
                {"best_epoch": model.state.best_epoch} if isinstance(model, AutoencoderRecommender) else {}
            )
            trials.append(settings | epochs | {CHOICE: score})
            if best is None or score > best[0]:
                best = score, model
        if best is None:
            raise InputError(f"{variant.name}: {trials[0]['failed']}")
        model = best[1]
        measured = self._measure(model, variant, {"all": self.split.test} | self.parts, METRICS)
        per_user = {name: {m: v.tolist() for m, v in part.items()} for name, part in measured.items()}
        about = {"model": variant.name, "family": model.family, "settings": model.settings}
        return about | {"trials": trials, "per_user": per_user}

    def _fit(self, variant: Variant, n: int, data: Split) -> Recommender:
        settings = variant.tried[n]
        model = variant.kind(**settings)
        with self.watch(f"{variant.name}, {settings}", settings.get("epochs", 0)) as report:
            if not isinstance(model, AutoencoderRecommender):
                return model.fit(data.train)
            run = self._path(variant, f"choice-{n}")
            resume = (run / "LATEST").exists()
            return model.fit(data.train, data.validation, run=run, resume=resume, report=report)

    def _path(self, variant: Variant, which: str) -> Path:
        return self.runs / f"{variant.name} {which}".replace(",", "").replace(" ", "-")

    def _measure(
        self, model: Recommender, variant: Variant, parts: dict[str, HeldOut], metrics: tuple[str, ...]
    ) -> dict[str, dict[str, Any]]:
        """The metrics of people by part; one ranking, of all that they have not bought, serves all parts.

        All parts show the same.  Where only fresh items are wanted, what was touched is not ranked either.
        """
        n_items, wanted = len(self.alone.items), [parse_metric(metric) for metric in metrics]
        shown, depth = next(iter(parts.values())).fold_in, max(metric.k for metric in wanted)
        found: dict[str, dict[str, list[Any]]] = {name: {m: [] for m in metrics} for name in parts}
        for start in range(0, shown.shape[0], _BATCH):
            rows = slice(start, start + _BATCH)
            scores = model.score(shown[rows] if variant.together else shown[rows, -n_items:])[:, -n_items:]
            if self.fresh:
                scores = hide_touched(scores.copy(), shown[rows], n_items)
            ranked, _ = top_k(np.ascontiguousarray(scores), depth, shown[rows, -n_items:])
            for name, part in parts.items():
                target = part.target[rows, -n_items:]
                alive = np.diff(target.indptr) > 0
                if alive.any():
                    hits, n_target = find_hits(ranked[alive], target[alive])
                    for text, m in zip(metrics, wanted):
                        found[name][text].append(PER_USER[m.name](hits[:, : m.k], n_target))
        return {name: {m: np.concatenate(v) for m, v in part.items()} for name, part in found.items()}

    def _shown(self, row: Row, rows: list[Row]) -> Row:
        """A row of the result file: figures of all and of each part, and differences to the target alone."""
        base = next((r for r in rows if r["model"] == ALONE), None)
        shown: Row = {key: row[key] for key in ("model", "family", "settings", "trials")}
        for name, values in row["per_user"].items():
            figures = {m: np.array(v) for m, v in values.items()}
            part = {
                "users": len(next(iter(figures.values()))),
                "metrics": {m: float(v.mean()) for m, v in figures.items()},
                "se": {m: float(v.std(ddof=1) / np.sqrt(v.size)) for m, v in figures.items() if v.size > 1},
            }
            if base is not None and base is not row:
                part["difference"] = {
                    m: paired_bootstrap(v, np.array(base["per_user"][name][m]))._asdict()
                    for m, v in figures.items()
                    if v.size > 1
                }
            if name == "all":
                shown |= part
            else:
                shown.setdefault("apart", {})[name] = part
        return shown
