"""`minigen generate users`: from a run to an events file and a report."""

from __future__ import annotations

import json

import pytest
from test_cli import minigen, refused


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
