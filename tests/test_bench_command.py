"""`minigen bench` from its words to its table, its picture and its file, on work that takes seconds."""

from __future__ import annotations

import json

import pytest

from minigen.bench import growth, race
from minigen.bench.presets import cases_of
from minigen.cli import main


def run(*words):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *words])
    assert not stop.value.code


def test_a_race_prints_a_table_and_draws_its_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(race, "_TURN_SECONDS", 0.01)
    file, picture = tmp_path / "race.json", tmp_path / "race.png"
    words = ["--preset", "gan-ring", "--rounds", "3", "--threads", "1"]
    run(*words, "--json", str(file), "--plot", str(picture))
    (row,) = json.loads(file.read_text("utf-8"))["rows"]
    assert (row["op"], row["backend"], row["ratio"]) == ("gan_step", "numpy", 1)
    assert row["median_ms"] > 0
    assert f"{row['median_ms']:.3g}" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_growth_fits_exponents_and_draws_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(growth, "AXES", {"batch": (2, 40)})
    monkeypatch.setattr(growth, "_MOST", 3)
    file, picture = tmp_path / "growth.json", tmp_path / "growth.png"
    run("--preset", "growth", "--threads", "1", "--json", str(file), "--plot", str(picture))
    rows = json.loads(file.read_text("utf-8"))["rows"]
    assert [(row["backend"], row["size"]) for row in rows] == [
        (b, n) for b in ("numpy", "numba") for n in (2, 40)
    ]
    assert ["exponents" in row for row in rows] == [False, True] * 2
    assert f"{rows[1]['exponents']['median_ms']:.2f}" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("preset, op", [("vae-mnist", "vae_step"), ("gan-ring", "gan_step")])
def test_steps_of_small_models_learn(preset, op):
    step = cases_of(preset, "numpy")[op].run
    losses = [step() for _ in range(12)]
    assert losses[0] != losses[-1]
    if preset == "vae-mnist":
        assert losses[-1] < losses[0]
