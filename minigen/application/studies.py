"""The application measured on the held-out users of a run: rows for a result file, curves for a figure.

Every choice is made on validation users; test users are measured once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from minigen.application import calibration, faithfulness, weights
from minigen.application.diversity import Vectors, intra_list_distance
from minigen.application.ranking import Application
from minigen.application.uncertainty import sample_scores, spread_by_length
from minigen.data.interactions import HeldOut, Split
from minigen.errors import InputError
from minigen.evaluation.bootstrap import paired_bootstrap
from minigen.evaluation.evaluate import evaluate
from minigen.evaluation.metrics import PerUser
from minigen.recommender import EASE, Recommender
from minigen.recommender.combine import log_softmax
from minigen.recommender.explain import because

Row = dict[str, Any]
EASE_L2 = (30.0, 100.0, 300.0, 1000.0)
DRAWS = 32  # codes that a mean over the posterior is taken of
RESAMPLES = 200


def validation_of(split: Split) -> HeldOut:
    """The validation part; raises InputError where the run has none to choose by."""
    if split.validation is None:
        raise InputError("the run has no validation users to choose by")
    return split.validation


def tuned_ease(split: Split, tried: Sequence[float] = EASE_L2) -> EASE:
    """EASE with the l2 of those tried that validation users are served best by."""
    metric = f"ndcg@{min(100, len(split.items))}"
    models = [EASE(l2).fit(split.train) for l2 in tried]
    return max(models, key=lambda model: evaluate(model, validation_of(split), (metric,)).mean(metric))


def repeats(model: Recommender, split: Split, k: int = 10) -> list[Row]:
    """New items alone, old ones alone, and the share of the history that validation users choose."""
    chosen = weights.best(weights.repeat_trials(model, validation_of(split), k)).value
    rows, reference = [], None
    for name, share in (("new alone", 0.0), ("chosen share", chosen), ("old alone", 1.0)):
        (trial,) = weights.repeat_trials(model, split.test, k, (share,))
        reference = trial.ndcg if reference is None else reference
        rows.append(_row(model, name, {f"ndcg@{k}": trial.ndcg}, share=share))
        rows[-1]["more_than_new_alone"] = paired_bootstrap(trial.ndcg, reference)._asdict()
    return rows


def variety(
    model: Recommender, split: Split, kinds: dict[str, Vectors], judge: Vectors, k: int = 10
) -> list[Row]:
    """NDCG and distance within lists for every weight and kind of similarity; `judge` measures all kinds.

    `chosen`: the largest weight that costs validation users no more than `MOST_LOST` of their NDCG.
    """
    rows = []
    for kind, vectors in kinds.items():
        trials = weights.diversity_trials(model, vectors, validation_of(split), k)
        chosen = weights.most_varied(trials).value
        for trial in weights.diversity_trials(model, vectors, split.test, k):
            own, distance = (intra_list_distance(trial.items, v) for v in (vectors, judge))
            figures = {f"ndcg@{k}": trial.ndcg, "distance": distance, "own_distance": own}
            rows.append(_row(model, kind, figures, weight=trial.value, chosen=trial.value == chosen))
    return rows


def doubt(model: Recommender, split: Split, lengths: Sequence[int], seed: int = 0) -> list[Row]:
    """`spread_by_length` of test users, with everything known of them."""
    whole = csr_matrix(split.test.fold_in + split.test.target)
    return [
        _row(
            model,
            f"{s.clicks} items",
            {"std": s.std, "nats": s.nats, "overlap@10": s.overlap},
            clicks=s.clicks,
        )
        for s in spread_by_length(model, whole, lengths, seed)
    ]


def exploration(model: Recommender, split: Split, k: int = 10, seed: int = 0) -> list[Row]:
    """What it costs to rank by a drawn code, and what it shows more of."""
    rng, rows, reference = np.random.default_rng(seed), [], None
    for name, explore in (("mean code", False), ("drawn code", True)):
        items, _ = Application(model, explore=explore).recommend(split.test.fold_in, k, rng=rng)
        found = weights.ndcg_of(items, split.test.target)
        reference = found if reference is None else reference
        rows.append(_row(model, name, {f"ndcg@{k}": found}))
        rows[-1]["metrics"][f"coverage@{k}"] = float(np.unique(items).size / len(split.items))
        rows[-1]["more_than_mean_code"] = paired_bootstrap(found, reference)._asdict()
    return rows


def calibrated(
    model: Recommender, split: Split, seed: int = 0
) -> tuple[list[Row], dict[str, calibration.Reliability]]:
    """Calibration of the next new item: at the mean code, with a temperature, over the posterior.

    Rows hold the calibration error with its standard error over users, by bootstrap, and the NLL.
    """
    chosen, test = validation_of(split), split.test
    rng = np.random.default_rng(seed)
    scores = model.score(test.fold_in)
    t = calibration.choose_temperature(model.score(chosen.fold_in), chosen.fold_in, chosen.target)
    kinds = {"mean code": (1.0, calibration.log_new_items(scores, test.fold_in))}
    kinds["mean code, temperature"] = (t, calibration.log_new_items(scores / t, test.fold_in))
    try:
        drawn = (log_softmax(sample_scores(model, test.fold_in, rng)) for _ in range(DRAWS))
        total = reduce(np.logaddexp, drawn)  # the mean but for a factor
        kinds["over the posterior"] = (1.0, calibration.log_new_items(total, test.fold_in))
    except InputError:
        pass  # a model without a posterior
    rows, curves = [], {}
    for name, (temperature, log_p) in kinds.items():
        predicted, observed = calibration.top_probabilities(np.exp(log_p), test.target)
        found = calibration.reliability(predicted.ravel(), observed.ravel())
        rows.append(_row(model, name, {"nll_nats": calibration.nll_nats(log_p, test.target)}))
        rows[-1]["temperature"] = temperature
        rows[-1]["metrics"]["calibration_error"] = found.error
        draws = [rng.integers(len(log_p), size=len(log_p)) for _ in range(RESAMPLES)]
        errors = [calibration.reliability(predicted[d].ravel(), observed[d].ravel()).error for d in draws]
        rows[-1]["se"]["calibration_error"] = float(np.std(errors, ddof=1))
        rows[-1]["curve"] = {"predicted": found.predicted.tolist(), "observed": found.observed.tolist()}
        curves[name] = found
    return rows, curves


def explanations(
    models: Sequence[Recommender], split: Split, ease: EASE, users: int, k: int = 10, seed: int = 0
) -> list[Row]:
    """Reasons held against deletion, EASE's weights and other orders, on at most `users` test users."""
    long = split.test.fold_in[np.flatnonzero(np.diff(split.test.fold_in.indptr) >= 2)]
    rows = np.unique(np.linspace(0, long.shape[0] - 1, min(users, long.shape[0])).astype(int))
    histories, found = long[rows], []
    for model in models:
        by_user, curves = faithfulness.measure(model, histories, split.train, ease.params["weights"], k, seed)
        row = _row(model, "influence", by_user)
        row["curves"] = {"shares": list(faithfulness.SHARES)} | {n: c.tolist() for n, c in curves.items()}
        row["area_less_than"] = {
            other: paired_bootstrap(by_user["area_influence"], by_user[f"area_{other}"])._asdict()
            for other in ("random", "popularity")
        }
        row["cpu_ms"] = cpu_ms(lambda: because(model, histories[0], range(k)))  # noqa: B023 - called here
        found.append(row)
    return found


def cpu_ms(work: Any, times: int = 9) -> float:
    """The least CPU time of so many runs, in ms: what a machine shared with others does not change."""
    least = math.inf
    for _ in range(times):
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return 1e3 * least


def _row(model: Recommender, variant: str, figures: dict[str, PerUser], **more: Any) -> Row:
    metrics = {name: float(values.mean()) for name, values in figures.items()}
    se = {name: float(v.std(ddof=1) / math.sqrt(v.size)) for name, v in figures.items() if v.size > 1}
    users = next(iter(figures.values())).size
    about = {"model": model.id, "family": model.family, "variant": variant, "users": users}
    return about | {"settings": model.settings, "metrics": metrics, "se": se} | more
