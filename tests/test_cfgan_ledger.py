"""The adversary's ledger: what is run once, what is paired, and what the last line says."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import typer
from test_ladder_cfgan import SMALL, known

from minigen.cli import ledger as commands
from minigen.data.protocols import recognise, work_of
from minigen.data.published import PUBLISHED, is_cfgan_split, read_cfgan_split
from minigen.errors import InputError, Interrupted
from minigen.ladder import CFGAN
from minigen.reproduce import cfgan as experiment
from minigen.reproduce.cfgan import ALONE, FULL, RECIPE, SQUARES, VARIANTS, Ledger, kept_row, summary

DATA = Path(os.environ.get("MINIGEN_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


@pytest.fixture
def small_ledger(monkeypatch):
    """Its experiment in seconds: the four variants that its verdict needs, few choices."""
    kept = (RECIPE, FULL, ALONE, SQUARES)
    monkeypatch.setattr(experiment, "VARIANTS", {name: VARIANTS[name] for name in kept})
    tried = {FULL: [{"alpha": 0.02}, {"alpha": 0.05}], SQUARES: [{"clicks": 0.3}, {"clicks": 1.0}]}
    monkeypatch.setattr(experiment, "TRIED", tried)
    monkeypatch.setattr(experiment, "PASSES", (8, 12))
    tried = {kind: tried[:2] for kind, tried in experiment.BASELINES.items()}
    monkeypatch.setattr(experiment, "BASELINES", tried)
    fitted = []

    def make(runs, seeds=2, epochs=3):
        def watch(what, epochs):
            fitted.append(what)
            return nullcontext(lambda state, logged: None)

        return Ledger(known(60), runs, seeds, SMALL | {"epochs": epochs}, watch)

    return make, fitted


def test_the_ledger_goes_on_where_it_was_and_pairs_users_and_seeds(small_ledger, tmp_path):
    make, fitted = small_ledger
    *_, part = make(tmp_path, seeds=1).rows()
    assert fitted == [
        f"{RECIPE}, seed 0",
        *(*[f"{FULL}, choice {{'alpha': {a}}}" for a in (0.02, 0.05)], f"{FULL}, seed 0"),
        *(f"{ALONE}, choice {{}}", f"{ALONE}, seed 0"),
        *(*[f"{SQUARES}, choice {{'clicks': {c}}}" for c in (0.3, 1.0)], f"{SQUARES}, seed 0"),
    ]
    fitted.clear()
    ledger = make(tmp_path)
    first, *_, rows = ledger.rows()
    assert len(first) == 7, "all that is there, from the first run on"
    assert fitted == [f"{variant}, seed 1" for variant in (RECIPE, FULL, ALONE, SQUARES)]
    assert [row["model"] for row in rows] == ["popularity", "ease", "ials", RECIPE, FULL, ALONE, SQUARES]
    assert rows[:3] == part[:3]
    recipe, full, alone = rows[3:6]
    assert full["seeds"] == [0, 1]
    assert all(2 <= epochs <= 3 for epochs in recipe["epochs"])
    assert len(set(full["epochs"])) == 1
    best = max(full["trials"], key=lambda trial: trial["ndcg@100"])
    assert {row["settings"]["alpha"] for row in (full, alone, rows[6])} == {best["alpha"]}, "all but one part"
    assert recipe["settings"]["alpha"] == CFGAN.defaults.alpha
    assert [trial["clicks"] for trial in rows[6]["trials"]] == [0.3, 1.0]
    assert rows[6]["settings"]["clicks"] == max(rows[6]["trials"], key=lambda t: t["ndcg@100"])["clicks"]
    difference = ledger.difference(FULL, ALONE)
    assert difference.seeds == 2
    assert difference.mean == pytest.approx(full["metrics"]["ndcg@20"] - alone["metrics"]["ndcg@20"])
    stored = [
        [tmp_path / f"{variant.replace(' ', '-')}-{seed}" / "row.json" for seed in (0, 1)]
        for variant in (FULL, ALONE)
    ]
    d = [[json.loads(file.read_text())["per_user"]["ndcg@20"] for file in files] for files in stored]
    d = np.subtract(*d)
    by_users, by_seeds = d.mean(axis=0), d.mean(axis=1)
    wanted = by_users.var(ddof=1) / by_users.size + by_seeds.var(ddof=1) / 2
    assert difference.se == pytest.approx(np.sqrt(wanted))
    last = commands.verdict(ledger, rows, [])[-1]
    assert last == f"the adversary adds {difference.mean:+.4f} ± {difference.se:.4f} " + (
        "(N@20, paired over 60 users and 2 seeds)"
    )
    with pytest.raises(InputError, match=r"choice\.json is of other settings"):
        list(make(tmp_path, epochs=4).rows())


@pytest.mark.parametrize("text", ["[]", "{}", '{"a": 1}', "null", "3"])
def test_a_kept_row_that_is_damaged_is_told(text, tmp_path):
    (tmp_path / "row.json").write_text(text)
    with pytest.raises(InputError, match=r"row\.json holds no row: remove it"):
        kept_row(tmp_path / "row.json", {}, dict)


def test_a_row_means_over_users_and_seeds():
    rows = [
        {"family": "f", "settings": {"seed": s, "epochs": 3}, "note": "n", "cpu_seconds": 1.0,
         "per_user": {"ndcg@20": values}} for s, values in enumerate(([0, 1, 2], [2, 3, 7]))
    ]  # fmt: skip
    row = summary("x", rows)
    assert row["metrics"] == {"ndcg@20": 2.5}
    assert row["by_seed"] == {"ndcg@20": [1.0, 4.0]}
    assert row["se"]["ndcg@20"] == pytest.approx(np.std([1, 2, 4.5], ddof=1) / np.sqrt(3))
    assert row["se_seeds"]["ndcg@20"] == pytest.approx(1.5)
    assert (row["users"], row["seeds"], row["epochs"]) == (3, [0, 1], [3, 3])


def test_the_command_writes_the_ledger_and_survives_a_stop(small_ledger, tmp_path, monkeypatch, capsys):
    from minigen.cli.reproduce import app

    make, _ = small_ledger
    monkeypatch.setattr(experiment, "Ledger", lambda split, runs, seeds, settings, watch: make(runs, seeds))
    split = known(60)
    for part, matrix in (("train", split.train), ("test", split.test.target)):
        lines = [f"{row} {column} 1.0\n" for row, column in zip(*matrix.nonzero())]
        (tmp_path / f"G.{part}").write_text("".join(lines))
    command, file = typer.main.get_command(app), tmp_path / "ledger.json"
    args = ["cfgan", str(tmp_path), "--runs", str(tmp_path / "runs"), "--seeds", "1", "--json", str(file)]
    right = CFGAN.train_step

    def interrupted(model, rows, rng, step):
        if model.config.gan == 0:
            raise KeyboardInterrupt
        return right(model, rows, rng, step)

    monkeypatch.setattr(CFGAN, "train_step", interrupted)
    with pytest.raises(Interrupted, match="the same command goes on"):
        command(args, standalone_mode=False)
    assert [row["model"] for row in json.loads(file.read_text())["rows"]][3:] == [RECIPE, FULL]
    monkeypatch.setattr(CFGAN, "train_step", right)
    command(args, standalone_mode=False)
    document = json.loads(file.read_text())
    assert document["command"] == "reproduce"
    assert len(document["rows"]) == 7
    assert set(document["settings"]["adversary_adds_ndcg@20_to"]) == {ALONE, SQUARES}
    assert capsys.readouterr().out.strip().splitlines()[-1].startswith("the adversary adds ")
    with pytest.raises(InputError, match="--seeds: want at least 1"):
        command([*args[:5], "0"], standalone_mode=False)


def test_a_folder_of_train_and_test_is_a_split(tmp_path):
    assert not is_cfgan_split(tmp_path)
    with pytest.raises(InputError, match=r"want one NAME\.train with its NAME\.test, found 0"):
        read_cfgan_split(tmp_path)
    (tmp_path / "A.train").write_text("0 7 3.0\n1 8 1.0\n1 7 2.0\n")
    assert not is_cfgan_split(tmp_path)
    (tmp_path / "A.test").write_text("0 8 3.0\n")
    assert is_cfgan_split(tmp_path)
    split = read_cfgan_split(tmp_path)
    assert (split.name, split.items) == ("A", ["7", "8"])
    np.testing.assert_array_equal(split.train.toarray(), [[1, 0], [1, 1]])
    np.testing.assert_array_equal(split.test.target.toarray(), [[0, 1]])


def test_the_authors_split_stands_beside_the_published_row():
    folder = DATA / "ml-100k-cfgan"
    if not folder.exists():
        pytest.skip("the CFGAN authors' split of MovieLens-100K is not there: set MINIGEN_DATA")
    split = read_cfgan_split(folder)
    protocol = recognise(work_of(split.test, split.items))
    assert protocol is not None
    rows = [row for row in PUBLISHED if row.protocol == protocol.name]
    assert [row.model for row in rows] == ["CFGAN"]
    assert set(experiment.METRICS) <= set(rows[0].metrics)
