"""The table of several behaviours: what is ranked, what is kept, and what the file says."""

from __future__ import annotations

import json
from contextlib import nullcontext

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from minigen.cli import main
from minigen.data.behaviour_split import behaviour_split
from minigen.data.behaviours import known_parts, of_target
from minigen.data.simulate import simulate
from minigen.data.write import write_events
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.ladder import BehaviourVAE
from minigen.recommender import Popularity
from minigen.reproduce.behaviours import ALL, ALONE, METRICS, Experiment, Funnel

SETTINGS = {"seed": 0, "hidden": 0, "latent": 6, "epochs": 2, "batch": 40}


@pytest.fixture(scope="module")
def events():
    return simulate(120, 110, seed=1, views_per_user=25)[0]


def test_the_funnel_goes_from_the_cart_to_the_view_to_the_rest():
    train = csr_matrix(np.array([[0] * 6 + [1, 1, 0], [0] * 6 + [1, 0, 0]], np.float32))
    history = csr_matrix(np.array([[0, 0, 1, 0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0]], np.float32))
    scores = Funnel("view,cart,buy").fit(train).score(history)[:, 6:]
    assert np.argsort(-scores, axis=1, kind="stable").tolist() == [[1, 2, 0], [0, 1, 2]]
    assert Funnel("view,cart,buy").fit(train).n_items == 9
    assert Funnel("view,cart,buy").n_items == 0


def test_a_model_is_measured_as_evaluate_measures_it(events, tmp_path):
    split = behaviour_split(events, "purchase", "weak")
    alone = of_target(split)
    rows = list(Experiment(split, tmp_path, SETTINGS, [""], False, lambda *_: nullcontext()).rows())[-1]
    by_name = {row["model"]: row for row in rows}
    one = evaluate(Popularity().fit(alone.train), alone.test, METRICS)
    vae = BehaviourVAE.load(tmp_path / "behaviour-vae-all-choice-0")
    two = evaluate(vae, split.test, METRICS)
    viewed = evaluate(vae, known_parts(split.test, split.behaviours)["view"], METRICS)
    for metric in METRICS:
        assert by_name["popularity, target alone"]["metrics"][metric] == pytest.approx(one.mean(metric))
        assert by_name[ALL]["metrics"][metric] == pytest.approx(two.mean(metric))
        assert by_name[ALL]["se"][metric] == pytest.approx(two.se(metric))
        assert by_name[ALL]["apart"]["view"]["metrics"][metric] == pytest.approx(viewed.mean(metric))


@pytest.mark.parametrize("unseen", [False, True])
def test_rows_are_kept_and_told_apart(unseen, events, tmp_path):
    split = behaviour_split(events, "purchase", "weak", unseen=unseen)
    fitted = []

    def watch(what, epochs):
        fitted.append(what)
        return nullcontext(lambda state, logged: None)

    def rows():
        return list(Experiment(split, tmp_path, SETTINGS, ["", "0,0,1"], unseen, watch).rows())[-1]

    first = rows()
    n_fitted = len(fitted)
    assert rows() == first
    assert len(fitted) == n_fitted  # nothing is run again
    names = [row["model"] for row in first]
    assert {ALONE, ALL} <= set(names)
    assert ("funnel, all" in names) is not unseen
    for row in first:
        best = max(t["ndcg@100"] for t in row["trials"] if "ndcg@100" in t)
        assert len(row["trials"]) < 2 or best > 0
        assert ("difference" in row) is (row["model"] != ALONE)
        assert set(row["apart"]) == ({"new"} if unseen else set(row["apart"]) | {"view", "cart"})
    by_name = {row["model"]: row for row in first}
    assert any(
        "failed" in trial for trial in by_name["spectral, target alone"]["trials"]
    )  # 128 factors of 110
    chosen = by_name[ALL]["settings"]
    assert chosen["fresh"] is unseen
    d = by_name[ALL]["difference"]["ndcg@20"]["difference"]
    assert d == pytest.approx(by_name[ALL]["metrics"]["ndcg@20"] - by_name[ALONE]["metrics"]["ndcg@20"])
    with pytest.raises(InputError, match="is of other settings"):
        list(Experiment(split, tmp_path, SETTINGS | {"epochs": 3}, [""], unseen, watch).rows())


def reproduce(events, tmp_path, *words, code=0):
    """The command on a file of these events, by the time, with its rows in `runs`."""
    write_events(events, tmp_path / "shop.csv")
    pairs = (part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}"))
    asked = ["behaviours", str(tmp_path / "shop.csv"), "--target", "purchase", "--split", "time", *pairs]
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", *asked, "--runs", str(tmp_path / "runs"), *map(str, words)])
    assert (stop.value.code or 0) == code


def test_the_command_writes_the_file(events, tmp_path, capsys):
    reproduce(events, tmp_path, "--json", tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text())
    assert document["settings"]["target"] == "purchase"
    shares = document["settings"]["shares"]
    assert set(shares) <= {"view", "cart", "new"}
    assert document["provenance"]["data_hash"]
    vae = next(row for row in document["rows"] if row["model"] == ALL)
    assert (vae["settings"]["latent"], vae["settings"]["batch"]) == (6, 40)
    said = capsys.readouterr().out
    assert f"{ALL} minus the target alone: " in said
    assert f"new {shares['new']:.1%}" in said
    reproduce(events, tmp_path)  # all rows are there: the same table, and no file
    again = capsys.readouterr().out
    assert again.splitlines()[-1] == said.splitlines()[-1]


def test_ctrl_c_says_that_the_same_command_goes_on(events, tmp_path, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Popularity, "fit", stopped)
    reproduce(events, tmp_path, code=130)
    told = f"interrupted; the same command goes on with what is in {tmp_path / 'runs'}"
    assert capsys.readouterr().err == f"minigen: {told}\n"
