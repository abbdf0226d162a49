"""`minigen study`: each part of the application measured on a run, and refused where it cannot be."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from minigen.application import studies
from minigen.application.diversity import unit_rows
from minigen.cli import main
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.ladder import load_model
from minigen.provenance import write_json
from minigen.recommender import EASE
from minigen.recommender.runs import read_split, write_split


@pytest.fixture
def study(shop_run, tmp_path, capsys):
    """Run a study; returns its rows by variant, and what was printed."""

    def call(name, *args, code=0):
        file = tmp_path / "s.json"
        with pytest.raises(SystemExit) as end:
            main(["study", name, str(shop_run), *map(str, args), "--json", str(file)])
        said = capsys.readouterr()
        assert end.value.code == code, said.err
        if code:
            (line,) = said.err.strip().splitlines()
            return line
        document = json.loads(file.read_text())
        assert document["command"] == "study"
        assert document["settings"]["study"] == name
        assert document["provenance"]["seconds"] > 0
        return document["rows"], said.out

    return call


def test_what_is_no_number_is_null_in_a_result_file(tmp_path):
    rows = [{"se": np.float64("nan"), "curve": [1.5, (float("inf"), 2)], "users": 3, "note": None}]
    write_json(tmp_path / "s.json", "study", {"least": -math.inf}, rows, {"seconds": 0.25})

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    document = json.loads((tmp_path / "s.json").read_text(), parse_constant=refuse)
    assert document["settings"] == {"least": None}
    assert document["rows"] == [{"se": None, "curve": [1.5, [None, 2]], "users": 3, "note": None}]
    assert document["provenance"] == {"seconds": 0.25}


@pytest.mark.parametrize("name", ["repeat", "diversity"])
@pytest.mark.parametrize("k", [0, -3, 15])
def test_a_list_longer_than_the_catalogue_is_refused(name, k, study):
    assert study(name, "--k", k, code=2) == f"minigen: k is {k}: want 1 to 14, the size of the catalogue"


def test_explanations_of_the_model_and_of_ease(study, tmp_path):
    rows, said = study("explanations", "--users", 12, "--plot", tmp_path / "e.png")
    assert [row["model"] for row in rows] == ["mult-vae", "ease"]
    for row in rows:
        assert row["curves"]["shares"][0] == 0
        assert row["area_less_than"]["random"]["difference"] == pytest.approx(
            row["metrics"]["area_influence"] - row["metrics"]["area_random"]
        )
        assert row["cpu_ms"] > 0
    assert "area_influence" in said
    assert (tmp_path / "e.png").stat().st_size > 1000


def test_uncertainty_in_three_tables_and_two_plots(study, tmp_path):
    rows, said = study("uncertainty", "--lengths", "1,3", "--plot", tmp_path / "plots")
    by = {row["variant"]: row for row in rows}
    assert by["1 items"]["metrics"]["std"] > by["3 items"]["metrics"]["std"]
    kinds = ("mean code", "mean code, temperature", "over the posterior")
    for kind in kinds[1:]:
        assert 0 <= by[kind]["metrics"]["calibration_error"] <= 1
        assert by[kind]["se"]["calibration_error"] > 0
        assert len(by[kind]["curve"]["predicted"]) == 10
    assert "drawn code" in said
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"calibration.png", "spread.png"}
    assert "want whole numbers" in study("uncertainty", "--lengths", "0,2", code=2)
    assert "want whole numbers from 1 on, got '1,few'" in study("uncertainty", "--lengths", "1,few", code=2)
    assert "nobody has a history of 99" in study("uncertainty", "--lengths", "99", code=2)


def test_variety_is_judged_by_names_and_chosen_once_a_kind(study, tmp_path):
    rows, _ = study("diversity", "--k", 4, "--plot", tmp_path / "d.png")
    for kind in ("codes", "buyers"):
        own = [row for row in rows if row["variant"] == kind]
        assert sum(row["chosen"] for row in own) == 1
        assert own[-1]["metrics"]["own_distance"] > own[0]["metrics"]["own_distance"]
    assert (tmp_path / "d.png").exists()


def test_the_share_of_the_history_is_measured_beside_both_ends(study):
    rows, _ = study("repeat", "--k", 4)
    by = {row["variant"]: row for row in rows}
    assert by["new alone"]["more_than_new_alone"]["difference"] == 0
    assert by["old alone"]["metrics"]["ndcg@4"] == 0  # nothing old is to be found in this split
    assert by["chosen share"]["share"] == 0


def test_a_temperature_is_chosen_by_validation_users_and_never_by_test_users(shop_run):
    split, model = read_split(shop_run), load_model(shop_run)
    rows, _ = studies.calibrated(model, split)
    others = replace(split, test=split.validation)
    again, _ = studies.calibrated(model, others)
    assert [row["temperature"] for row in rows] == [row["temperature"] for row in again]
    with pytest.raises(InputError, match="no validation users"):
        studies.calibrated(model, replace(split, validation=None))


def test_ease_is_tuned_and_has_no_doubt(shop_run):
    split = read_split(shop_run)
    ease = studies.tuned_ease(split, (1.0, 1e9))
    other = EASE(1.0 if ease.l2 == 1e9 else 1e9).fit(split.train)
    better, worse = (
        evaluate(model, split.validation, ("ndcg@14",)).mean("ndcg@14") for model in (ease, other)
    )
    assert better > worse
    rows, _ = studies.calibrated(ease, split)
    assert [row["variant"] for row in rows] == ["mean code", "mean code, temperature"]
    with pytest.raises(InputError, match="ease has no posterior"):
        studies.doubt(ease, split, (1, 2))
    kinds = {"buyers": unit_rows(split.train.T.tocsr())}
    trials = studies.variety(EASE(5.0).fit(split.train), split, kinds, kinds["buyers"], 3)
    assert np.isclose(trials[0]["metrics"]["distance"], trials[0]["metrics"]["own_distance"])


@pytest.fixture(scope="module")
def ease_run(shop_run, tmp_path_factory):
    """The run of EASE, which has no codes and no doubt, on the same shop."""
    folder, split = tmp_path_factory.mktemp("ease") / "run", read_split(shop_run)
    write_split(folder, split)
    EASE(5.0).fit(split.train).save(folder)
    return folder


@pytest.mark.parametrize(
    "words", [("diversity", "--k", "4"), ("explanations", "--users", "5"), ("uncertainty", "--lengths", "1")]
)
def test_a_study_that_is_asked_for_no_file_prints_alone(
    words, shop_run, ease_run, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    name, *more = words
    run = shop_run if name == "uncertainty" else ease_run
    with pytest.raises(SystemExit) as stop:
        main(["study", name, str(run), *more])
    said = capsys.readouterr().out
    assert not stop.value.code
    assert "shop: 160 users to train on" in said
    if name != "uncertainty":
        assert "ease, " in said
        assert "mult-vae" not in said
        assert "codes" not in said
    assert list(tmp_path.iterdir()) == []
