"""Runs whose data, names or weights belong to something else: one line, whatever the command."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest

from minigen.data import HeldOut
from minigen.errors import InputError
from minigen.recommender.runs import read_split, write_split


def test_data_of_another_catalogue_than_the_model_are_refused(run, shop_run, tmp_path):
    """Weights of 14 items, and beside them data of 6."""
    shutil.copytree(shop_run, tmp_path / "run")
    data = read_split(shop_run)
    cut = [
        HeldOut(part.fold_in[:, :6], part.target[:, :6], part.users) for part in (data.validation, data.test)
    ]
    few = replace(data, train=data.train[:, :6], items=data.items[:6], validation=cut[0], test=cut[1])
    write_split(tmp_path / "run", few)
    out = tmp_path / "out.csv"
    for words in (
        ["evaluate", tmp_path / "run"],
        ["export", tmp_path / "run", "--out", out],
        ["recommend", tmp_path / "run", "--items", "001"],
        ["generate", "users", tmp_path / "run", "--out", out],
        ["study", "uncertainty", tmp_path / "run"],
    ):
        said = run(*words, code=2)
        assert said == f"minigen: the data in {tmp_path / 'run'} has 6 items, its model 14"
    assert not out.exists()


@pytest.fixture
def several(run, tmp_path):
    """The folder of a run of two behaviours."""
    acts = [(u, n, b) for u in range(30) for n in range(5) for b in ("view", "buy") if b == "view" or n < 3]
    rows = [f"u{u},i{(u + n) % 9},{b}" for u, n, b in acts]
    (tmp_path / "shop.csv").write_text("\n".join(["user,item,behaviour", *rows]) + "\n")
    flags = ["--target", "buy", "--k-core", 1, "--split", "weak", "--set", "hidden=4", "--set", "latent=3"]
    flags += ["--set", "epochs=1", "--out", tmp_path / "several"]
    run("train", tmp_path / "shop.csv", "--model", "behaviour-vae", *flags)
    return tmp_path / "several"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "its model is of view,buy, the data of no behaviours"),
        (["a", "b"], "its items are no blocks of a,b"),
        (["buy", "view"], "its items are no blocks of buy,view"),
        (["view", "buy", "buy"], "its items are no blocks of view,buy,buy"),
    ],
)
def test_behaviours_that_are_not_those_of_items_and_model_are_refused(run, several, names, told):
    ids = json.loads((several / "ids.json").read_text())
    (several / "ids.json").write_text(json.dumps(ids | {"behaviours": names}))
    for words in (["evaluate", several], ["recommend", several, "--unknown"]):
        assert run(*words, code=2).endswith(told)


def test_names_of_a_run_are_text_and_its_ids_a_file(run, shop_run, tmp_path):
    split = shutil.copytree(shop_run, tmp_path / "split")
    ids = json.loads((split / "ids.json").read_text())
    for more in ({"name": "\ud800"}, {"item_names": {"001": "\ud800"}}):
        (split / "ids.json").write_text(json.dumps(ids | more))
        said = run("train", split, "--model", "popularity", "--out", tmp_path / "run", code=2)
        assert said.startswith(f"minigen: the data in {split} is damaged: ")
    (split / "ids.json").unlink()
    os.mkfifo(split / "ids.json")
    with pytest.raises(InputError, match=r"ids\.json is not a file"):
        read_split(split)
