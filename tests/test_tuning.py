"""A contest: what a budget buys, that a stop changes nothing, and that a verdict says what was found."""

from __future__ import annotations

import inspect
import json
from contextlib import nullcontext

import pytest
from test_recommender import small, split_of_groups
from test_training import StopError

from minigen.errors import InputError
from minigen.ladder import MODELS
from minigen.tuning import contest as tuning
from minigen.tuning.contest import Contest, Entrant, candidates
from minigen.tuning.plan import Cost, Share, make_plan, parse_budget

BASELINES = ("popularity", "ease")
TINY = {"hidden": 8, "latent": 3, "epochs": 9, "batch": 100, "patience": 0}


@pytest.fixture(scope="module")
def seen() -> Entrant:
    split = split_of_groups()
    return Entrant({}, split.train, split.test)


def tick(monkeypatch) -> None:
    """Every look at the clock is a second later: a fit and an epoch last one."""
    now = iter(range(10**9))
    monkeypatch.setattr(tuning.time, "perf_counter", lambda: next(now))


@pytest.fixture
def clock(monkeypatch):
    tick(monkeypatch)


def contest(seen, folder, models=(*BASELINES, "mult-vae"), report=None):
    given = {MODELS[name]: seen._replace(settings=TINY if "vae" in name else {}) for name in models}
    return Contest(given, "ndcg@32", folder, 0, lambda what, until: nullcontext(report))


def outcomes(one, seconds=60.0):
    return {kind.id: outcome for kind, outcome in one.outcomes(seconds)}


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("1h30m", 5400)])
def test_a_budget_is_a_time(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10x", "-5m", "0s", "1h 30m", "10mm", "1e3s"])
def test_another_budget_is_refused(text):
    with pytest.raises(InputError, match="--budget"):
        parse_budget(text)


def test_rungs_halve_settings_and_lengthen_training():
    assert Share(27, 100, 3).rungs == [(27, 4), (9, 12), (3, 34), (1, 100)]
    assert Share(27, 100, 3).all_epochs == 27 * 4 + 9 * 8 + 3 * 22 + 66
    assert Share(1, 20).rungs == [(1, 20)]


def test_a_plan_keeps_to_the_budget_and_gives_away_what_is_not_wanted():
    costs = {
        "free": Cost(1.0, 1, spent=1.0),
        "grid": Cost(2.0, 10, spent=2.0),
        "net": Cost(1.0, 400, 100, spent=1.0),
    }
    plan = make_plan(1000.0, costs)
    assert plan == {"free": Share(1), "grid": Share(10), "net": Share(27, 100, 3)}
    for budget in (12.0, 40.0, 150.0, 300.0):
        plan = make_plan(budget, costs)
        net, grid = plan["net"], plan["grid"]
        spent = 4 + (net.all_epochs - 1) + 2 * (grid.candidates if grid.candidates > 1 else 0)
        assert spent <= budget
        assert spent > 0.4 * budget
    assert make_plan(150.0, costs)["net"].candidates < 27
    assert make_plan(20.0, costs)["net"] == Share(1, 9)
    tiny = make_plan(0.01, costs)
    assert tiny == {"free": Share(1), "grid": Share(1), "net": Share(1, 1)}
    assert make_plan(1e9, {"net": Cost(1.0, 2, 100)})["net"] == Share(2, 100, 1)  # there is no third setting


@pytest.mark.parametrize("name", MODELS)
def test_every_value_of_a_search_is_one_that_the_model_takes(name):
    kind = MODELS[name]
    assert set(kind.search) <= set(kind().settings)
    for setting, values in kind.search.items():
        assert len(set(values)) == len(values) > 1
        for value in values:
            assert kind(**{setting: value}).settings[setting] == value
            assert type(value) is type(kind().settings[setting])
    points = candidates(kind, {}, 0)
    assert points[0] == {}
    assert len({json.dumps(point, sort_keys=True) for point in points}) == len(points)
    if kind.search:
        name = next(iter(kind.search))
        assert all(name not in point for point in candidates(kind, {name: kind.search[name][0]}, 0))
        assert candidates(kind, {}, 0) == points
        assert candidates(kind, {}, 1) != points


def test_nothing_of_the_test_part_is_within_reach():
    assert Entrant._fields == ("settings", "train", "validation")
    given = list(inspect.signature(Contest).parameters)
    assert given == ["entrants", "metric", "folder", "seed", "watch"]


@pytest.mark.parametrize(
    ("models", "stop"),
    [
        *(((*BASELINES, "mult-vae"), stop) for stop in (1, 7, 40, 65)),
        # In the second epoch of the one, of the other when that of the one is known, and after the plan.
        *(((*BASELINES, "mult-vae", "beta-vae"), stop) for stop in (9, 13, 17)),
    ],
)
def test_a_contest_that_was_killed_ends_as_if_it_had_not_been(seen, clock, models, stop, tmp_path):
    whole = contest(seen, tmp_path / "whole", models)
    wanted = outcomes(whole)
    steps = [0]

    def report(state, logged):
        steps[0] += 1
        if steps[0] == stop:
            raise StopError

    with pytest.raises(StopError):
        outcomes(contest(seen, tmp_path / "cut", models, report))
    again = contest(seen, tmp_path / "cut", models)
    got = outcomes(again)
    for name, outcome in wanted.items():
        other = got[name]
        assert (other.best, other.share, other.cut) == (outcome.best, outcome.share, outcome.cut)
        for trial, twin in zip(outcome.trials, other.trials, strict=True):
            assert (trial["settings"], trial["scores"]) == (twin["settings"], twin["scores"])
    assert wanted["mult-vae"].share.candidates > 1
    one, other = (c.fitted(MODELS["mult-vae"], wanted["mult-vae"]).params for c in (whole, again))
    assert all(array.tobytes() == other[key].tobytes() for key, array in one.items())
    kept = [p.name for p in (tmp_path / "cut" / "mult-vae").iterdir() if p.is_dir()]
    assert kept == [f"trial-{wanted['mult-vae'].best}"]


def test_the_best_on_validation_is_chosen_and_more_training_is_for_few(seen, clock, tmp_path):
    found = outcomes(contest(seen, tmp_path))
    ease, vae = found["ease"], found["mult-vae"]
    assert [t["scores"]["1"] for t in ease.trials][ease.best] == max(t["scores"]["1"] for t in ease.trials)
    assert len(ease.trials) == 10
    lengths = [max(map(int, trial["scores"])) for trial in vae.trials]
    assert sorted(lengths)[-1] == 9
    assert lengths.count(9) == 1
    assert lengths[vae.best] == 9


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_part_with_hardly_any_time(name, seen, tmp_path):
    given = {MODELS[name]: seen._replace(settings=small(name, 5))}
    one = Contest(given, "ndcg@32", tmp_path, 0, lambda what, until: nullcontext())
    ((kind, outcome),) = one.outcomes(1e-3)
    assert outcome.error is None
    assert len(outcome.trials) == 1
    assert one.fitted(kind, outcome).score(seen.validation.fold_in).shape == seen.validation.fold_in.shape
    if "epochs" in kind().settings and kind.family == "generative":
        assert outcome.cut == 1


def test_a_setting_that_fails_is_passed_over(seen, clock, tmp_path, monkeypatch):
    right = MODELS["ease"].fit

    def fit(model, train, validation=None):
        if model.l2 in (MODELS["ease"]().l2, 300.0):
            raise MemoryError
        return right(model, train)

    monkeypatch.setattr(MODELS["ease"], "fit", fit)
    ease = outcomes(contest(seen, tmp_path))["ease"]
    assert [trial["error"] for trial in ease.trials if "error" in trial] == ["out of memory"] * 2
    assert ease.trials[0]["settings"] == {}
    assert ease.best not in (0, None)


def test_a_pause_leaves_a_checkpoint_and_changes_nothing(seen, tmp_path):
    whole = MODELS["mult-vae"](**TINY).fit(seen.train, seen.validation)
    paused = MODELS["mult-vae"](**TINY).fit(seen.train, seen.validation, run=tmp_path, until=4)
    assert (paused.state.epoch, paused.state.finished) == (4, False)
    assert json.loads(next(tmp_path.glob("step-*/state.json")).read_text())["epoch"] == 4
    resumed = MODELS["mult-vae"](**TINY).fit(seen.train, seen.validation, run=tmp_path, resume=True)
    assert resumed.state == whole.state
    assert all(array.tobytes() == resumed.params[name].tobytes() for name, array in whole.params.items())
