"""`minigen recommend`: every flag of the application, on a run of a small shop."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from minigen.application.uncertainty import prior_behaviour
from minigen.cli import main
from minigen.ladder import load_model
from minigen.recommender.runs import read_split, write_split


@pytest.fixture
def recommend(shop_run, tmp_path, capsys):
    """Run the command; returns its rows, settings and what it printed."""

    def call(*args):
        file = tmp_path / "r.json"
        with pytest.raises(SystemExit) as end:
            main(["recommend", str(shop_run), *map(str, args), "--json", str(file)])
        said = capsys.readouterr()
        assert end.value.code == 0, said.err
        document = json.loads(file.read_text())
        return [row["item"] for row in document["rows"]], document, " ".join(said.out.split())

    return call


@pytest.fixture
def refused(shop_run, capsys):
    def call(*args, run=shop_run):
        with pytest.raises(SystemExit) as end:
            main(["recommend", str(run), *map(str, args)])
        assert end.value.code == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    return call


def test_filters_leave_out_what_may_not_be_shown(recommend, tmp_path):
    plain, _, _ = recommend("--user", "u0", "-k", 5)
    sold_out = tmp_path / "sold-out.txt"
    sold_out.write_text(f"{plain[0]}\ncup 9\nHat\n")
    listed, _, said = recommend("--user", "u0", "-k", 14, "--unavailable", sold_out)
    assert set(listed) == {f"{n:03d}" for n in range(3, 14)} - {plain[0], "009"}
    assert "1 of 3 lines" in said
    assert "Only 9 items are left to be shown" in said
    bags, _, _ = recommend("--user", "u0", "-k", 3, "--name", "^bag")
    assert all(int(item) % 2 == 0 for item in bags)
    table = tmp_path / "items.csv"
    table.write_text("id,colour\n003,red\n004,blue\n006,red\n")
    red, _, _ = recommend("--user", "u0", "-k", 3, "--table", table, "--where", "colour=red")
    assert set(red) == {"003", "006"}
    both, _, _ = recommend(
        "--user", "u0", "-k", 3, "--table", table, "--where", "colour=red", "--name", "bag"
    )
    assert both == ["006"]


def test_old_and_new(recommend):
    listed, document, _ = recommend("--user", "u0", "-k", 4, "--repeat", "1")
    assert set(listed) == {"000", "001", "002"}
    assert document["settings"]["repeat"] == 1
    mixed, _, _ = recommend("--user", "u0", "-k", 6, "--repeat", "0.9")
    assert set(mixed[:3]) == {"000", "001", "002"}
    _, document, said = recommend("--user", "u0", "--repeat", "auto")
    assert document["settings"]["repeat"] == 0  # what validation users of this run want is new
    assert "by 60 validation users: 0." in said


def test_variety(recommend):
    plain, _, _ = recommend("--user", "u0", "-k", 4)
    varied, document, _ = recommend("--user", "u0", "-k", 4, "--diversity", "0.9")
    assert plain[0] == varied[0]
    assert plain != varied
    assert document["settings"]["diversity"] == 0.9
    _, document, said = recommend("--user", "u0", "-k", 4, "--diversity", "auto")
    chosen = document["settings"]["diversity"]
    assert f"at most 2%: {chosen:g}." in said


def test_exploration_is_seeded(recommend):
    lists = [recommend("--user", "u0", "-k", 8, "--explore", "--seed", seed)[0] for seed in (0, 0, 1, 2, 3)]
    assert lists[0] == lists[1]
    assert any(other != lists[0] for other in lists[2:])


def test_somebody_unknown_gets_an_answer_that_says_what_it_is(recommend):
    listed, document, said = recommend("--unknown", "-k", 3, "--why")
    assert len(listed) == 3
    assert "Nothing is known of this person: this is what" in said
    assert all(row["because of"] == "" for row in document["rows"])


def test_reasons_are_items_of_the_history(recommend):
    _, document, _ = recommend("--user", "u0", "-k", 2, "--why")
    for row in document["rows"]:
        assert re.fullmatch(r"((Bag 0|Cup 1|Bag 2)(; )?)+", row["because of"])


def test_bad_questions(refused, tmp_path):
    assert "or --unknown" in refused("--unknown", "--user", "u0")
    assert "want a number from 0 to 1, or auto, got '1.5'" in refused("--user", "u0", "--repeat", "1.5")
    assert "got 'much'" in refused("--user", "u0", "--diversity", "much")
    assert "--again or --repeat" in refused("--user", "u0", "--again", "--repeat", "0.1")
    assert "the filters leave no item" in refused("--user", "u0", "--name", "hat")
    assert "go together" in refused("--user", "u0", "--where", "a=b")
    assert "no such file" in refused("--user", "u0", "--where", "a=b", "--table", tmp_path / "absent.csv")
    assert "No such file" in refused("--user", "u0", "--unavailable", tmp_path / "absent.txt")


def test_without_validation_users_nothing_is_chosen_by_them(refused, shop_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(shop_run, run)
    write_split(run, replace(read_split(shop_run), validation=None))
    for flag in ("--repeat", "--diversity"):
        told = refused("--user", "u0", flag, "auto", run=run)
        assert "auto: the run has no validation users to choose by" in told


def test_without_validation_users_strangers_get_what_most_people_have(shop_run, tmp_path, capsys):
    """Even from a model whose prior does better on the test users: they are for the figures alone."""
    run = tmp_path / "run"
    shutil.copytree(shop_run, run)
    split, model = read_split(shop_run), load_model(run)
    strange = replace(split.test, target=csr_matrix(split.test.target.shape, dtype=np.float32).tolil())
    count = np.asarray(split.train.sum(axis=0))[0]
    later, sooner = (np.argsort(np.argsort(-x)) for x in (count, prior_behaviour(model)))
    strange.target[:, (later - sooner).argmax()] = 1  # it is all that they want
    empty = csr_matrix(split.test.fold_in.shape, dtype=np.float32)
    held = replace(strange, fold_in=empty, target=strange.target.tocsr())
    write_split(run, replace(split, validation=None, test=held))
    with pytest.raises(SystemExit):
        main(["recommend", str(run), "--unknown", "-k", "14", "--json", str(tmp_path / "r.json")])
    assert "this is what most people have" in " ".join(capsys.readouterr().out.split())
    listed = [row["item"] for row in json.loads((tmp_path / "r.json").read_text())["rows"]]
    assert listed == [split.items[n] for n in np.argsort(-count, kind="stable")]


def test_a_list_of_what_is_gone_that_the_run_knows_is_not_remarked_on(recommend, tmp_path):
    gone = tmp_path / "gone.txt"
    gone.write_text("004\n")
    items, _, said = recommend("--user", "u0", "-k", 5, "--unavailable", gone)
    assert "004" not in items
    assert "name no item" not in said
