"""`minigen generate users`: from a run to an events file and a report."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from test_cli import minigen, refused

from minigen.cli import main
from minigen.recommender.runs import read_split, write_split


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    assert minigen("data", "simulate", folder / "shop.csv", "--users", 150, "--items", 40).returncode == 0
    flags = ["--target", "purchase", "--model", "behaviour-vae"]
    pairs = ["hidden=8", "latent=3", "epochs=3", "batch=40"]
    sets = [part for pair in pairs for part in ("--set", pair)]
    done = minigen("train", folder / "shop.csv", *flags, *sets, "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_command_writes_events_that_can_be_trained_on_and_a_report(shop, tmp_path):
    out = tmp_path / "users.csv"
    done = minigen("generate", "users", shop / "run", "--out", out, "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())["rows"][0]["report"]
    assert {"distance", "train_on", "nearest", "copies", "membership", "sequences"} <= set(report)
    assert (
        set(report["distance"]) == set(report["distance_real"]) == {"popularity", "lengths", "cooccurrence"}
    )
    assert report["sequences"]["distance"]["orders"] < 0.1  # nothing is bought that was not in the cart
    again = minigen("data", "info", out, "--json", tmp_path / "info.json")
    assert again.returncode == 0, again.stderr
    (info,) = json.loads((tmp_path / "info.json").read_text())["rows"]
    assert set(info["behaviours"]) == {"view", "cart", "purchase"}
    assert info["pairs"] <= info["events"]


def test_people_like_one_and_bad_input(shop, tmp_path):
    out = tmp_path / "users.jsonl"
    assert minigen("generate", "users", shop / "run", "--user", "u001", "-n", 2, "--out", out).returncode == 0
    assert len({json.loads(line)["user"] for line in out.read_text().splitlines()}) == 2
    run = shop / "run"
    assert "does not know the user 'nobody'" in refused("generate", "users", run, "--user", "nobody")
    both = refused("generate", "users", run, "--user", "u001", "--source", "posterior")
    assert "want either --user or --source, not both" in both
    assert "there is no run" in refused("generate", "users", tmp_path / "none")
    assert "there is no model 'pixelcnn'" in refused("generate", "pixelcnn")


def generate(run, tmp_path, capsys, *words):
    """The command on a run; gives its row, the columns of its events, and what it said."""
    out, file = tmp_path / "users.csv", tmp_path / "report.json"
    with pytest.raises(SystemExit) as stop:
        main(["generate", "users", str(run), "--out", str(out), "--json", str(file), *words])
    said = capsys.readouterr()
    assert not stop.value.code, said.err
    (row,) = json.loads(file.read_text())["rows"]
    return row, out.read_text().splitlines()[0].split(","), said.out


def test_one_kind_of_event_without_times_has_a_report_without_their_order(shop_run, tmp_path, capsys):
    row, columns, said = generate(shop_run, tmp_path, capsys, "-n", "40")
    assert (row["users"], columns[:2]) == (40, ["user", "item"])
    assert not {"behaviour", "time"} & set(columns)
    report = row["report"]
    assert set(report) == {
        *("distance", "distance_real", "train_on", "nearest", "nearest_real"),
        *("copies", "copies_real", "membership"),
    }
    assert report["train_on"]["metric"] == "ndcg@14"
    assert "in order" not in said
    assert f"{report['train_on']['synthetic']:.4f}" in said
    assert "AUC of a membership attack" in said


def test_privacy_is_not_measured_by_people_who_were_trained_on(shop_run, tmp_path, capsys):
    split = read_split(shop_run)
    members = replace(split.test, users=split.train_users[: len(split.test.users)])
    run = tmp_path / "run"
    shutil.copytree(shop_run, run)
    write_split(run, replace(split, validation=None, test=members))
    row, _, said = generate(run, tmp_path, capsys, "-n", "40")
    assert set(row["report"]) == {"distance", "distance_real"}  # nor EASE without whom to tune it by
    assert "membership" not in said
    assert "EASE" not in said
    assert f"{row['report']['distance']['popularity']:.4f}" in said


def test_without_a_report_there_are_the_people_alone(shop_run, tmp_path, capsys):
    row, _, said = generate(shop_run, tmp_path, capsys, "-n", "5", "--no-report")
    assert "report" not in row
    assert "5 synthetic users" in said
    assert "distance" not in said
