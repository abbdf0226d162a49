"""The commands on several behaviours: train, recommend, export, and one clear line for bad input."""

from __future__ import annotations

import json

import pytest
from test_cli import minigen, refused

from minigen.recommender import serve

SMALL = ["hidden=8", "latent=3", "epochs=2", "batch=40"]
SET = [part for pair in SMALL for part in ("--set", pair)]


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    path = tmp_path_factory.mktemp("events") / "shop.csv"
    assert minigen("data", "simulate", path, "--users", 120, "--items", 30).returncode == 0
    return path


@pytest.fixture(scope="module")
def run(events, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--target", "purchase", "--split", "time", "--model", "behaviour-vae"]
    done = minigen("train", events, *flags, *SET, "--out", out, "--json", out.parent / "rows.json")
    assert done.returncode == 0, done.stderr
    return out


def test_train_tells_touched_and_new_items_apart(run):
    document = json.loads((run.parent / "rows.json").read_text())
    (row,) = document["rows"]
    assert row["settings"]["behaviours"] == "view,cart,purchase"
    assert set(row["apart"]) == {"view", "cart", "new"}
    assert 0 < row["apart"]["view"]["share"] <= 1 - row["apart"]["new"]["share"]
    assert set(row["apart"]["new"]["metrics"]) == set(row["metrics"])


def test_purchases_are_recommended_to_somebody_who_only_looked(run, tmp_path):
    asked = ["--items", "view:i01", "view:i03", "-k", "4"]
    done = minigen("recommend", run, *asked, "--json", tmp_path / "list.json")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "list.json").read_text())["rows"]
    assert len(rows) == 4
    assert all(row["item"].startswith("purchase:") and row["name"].startswith("purchase: ") for row in rows)
    alone = minigen("recommend", run, "--items", "view:i01", "purchase:i01", "-k", "30")
    assert "Only 29 items are left" in alone.stdout
    assert minigen("export", run, "--out", tmp_path / "served").returncode == 0
    served = serve.Model(tmp_path / "served" / "model.safetensors")
    assert [item for item, _, _ in served.recommend(["view:i01", "view:i03"], 4)] == [r["item"] for r in rows]
    assert len(served.recommend(["view:i01", "purchase:i01"], 90)) == 29


@pytest.mark.parametrize(
    "asked",
    [("--unknown",), ("--unknown", "--name", "style"), ("--items", "view:i01", "i02", "--repeat", "1")],
)
def test_nothing_but_the_target_is_recommended(asked, run, tmp_path):
    done = minigen("recommend", run, *asked, "-k", "30", "--json", tmp_path / "list.json")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "list.json").read_text())["rows"]
    assert len(rows) == (1 if "--items" in asked else 30)
    assert all(row["item"].startswith("purchase:") for row in rows)


def test_other_models_see_the_target_alone(events, tmp_path):
    flags = ["--target", "purchase", "--split", "time", "--model", "popularity"]
    done = minigen("train", events, *flags, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert " 30 items" in done.stdout.replace("\n", " ")


def test_unseen_asks_for_what_nobody_touched(events, tmp_path):
    flags = ["--target", "purchase", "--split", "weak", "--unseen", "--model", "behaviour-vae"]
    done = minigen("train", events, *flags, *SET, "--out", tmp_path / "run", "--json", tmp_path / "rows.json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["settings"]["fresh"] is True
    assert {name: part["share"] for name, part in row["apart"].items()} == {"new": 1.0}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--target", "refund"], "got 'refund'; there are cart, purchase, view"),
        (["--target", "purchase", "--held-out", "70"], "70 + 70 held-out users are too many"),
        (["--target", "purchase", "--set", "weights=1,2"], "weights: want 3 of at least 0"),
        (["--target", "purchase", "--set", "behaviours=a,b"], "behaviours: want view,cart,purchase"),
        (["--unseen"], "--unseen needs --target"),
    ],
)
def test_bad_input_is_one_line(flags, line, events, tmp_path):
    out = tmp_path / "run"
    assert line in refused("train", events, *flags, "--model", "behaviour-vae", *SET, "--out", out)


def test_a_folder_of_behaviours_wants_a_target(tmp_path):
    for name in ("buy", "view"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.txt").write_text("0 1 2\n1 0 2\n2 0\n")
        (tmp_path / name / "test.txt").write_text("0 0\n1 1\n2 2\n")
    assert "got None; there are buy, view" in refused("train", tmp_path, "--out", tmp_path / "run")


def test_compare_sets_a_model_of_all_behaviours_beside_one_of_the_target_alone(events, run, tmp_path):
    flags = ["--target", "purchase", "--split", "time", "--budget", "1s"]
    flags += ["--models", "popularity,behaviour-vae"]
    found, out = tmp_path / "found.json", tmp_path / "out"
    done = minigen("compare", events, *flags, *SET, "--out", out, "--json", found)
    assert done.returncode == 0, done.stderr
    popularity, ours = json.loads(found.read_text())["rows"]
    assert ours["settings"]["behaviours"] == "view,cart,purchase"
    assert "behaviours" not in popularity["settings"]
    trained = json.loads((run.parent / "rows.json").read_text())["rows"][0]
    assert popularity["users"] == ours["users"] == trained["users"]
    assert 0 < ours["metrics"]["recall@20"] <= 1
    assert minigen("recommend", out / "winner", "--unknown").returncode == 0
