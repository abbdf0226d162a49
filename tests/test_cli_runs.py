"""What `train`, `compare`, `export` and `demo` say of a split or a run that lacks what they need."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from test_product_features import shop

from minigen.cli import output
from minigen.ladder import MODELS
from minigen.recommender import serve
from minigen.recommender.runs import read_split, write_split


@pytest.fixture
def split(shop_run, tmp_path):
    """The folder of the shop's split without validation users."""
    write_split(tmp_path / "split", replace(read_split(shop_run), validation=None))
    return tmp_path / "split"


def test_without_validation_users_nothing_is_tuned_or_compared(run, split, tmp_path):
    tuned = run("train", split, "--model", "ease", "--tune", "l2=1,9", "--out", tmp_path / "run", code=2)
    assert tuned == "minigen: --tune needs validation data, and this split has none"
    compared = run("compare", split, "--models", "ease", "--budget", "1s", "--out", tmp_path / "c", code=2)
    assert compared == "minigen: compare needs validation data, and this split has none"
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "c").exists()


def test_a_setting_without_a_value_is_refused(run, split, tmp_path):
    told = run("train", split, "--set", "hidden", "--out", tmp_path / "run", code=2)
    assert told == "minigen: --set wants NAME=VALUE, got 'hidden'"


def test_a_run_is_not_gone_on_with_on_other_data(run, split, shop_run, tmp_path):
    small = [part for pair in ("hidden=8", "latent=3", "epochs=1", "batch=40") for part in ("--set", pair)]
    run("train", split, *small, "--out", tmp_path / "run")
    told = run("train", shop_run, *small, "--out", tmp_path / "run", "--resume", code=2)
    assert told == f"minigen: {tmp_path / 'run'} was trained on other data than these flags make"


@pytest.mark.parametrize("model", ["popularity", "ease"])
def test_a_model_without_epochs_does_not_take_the_place_of_another(run, split, tmp_path, model):
    """Nor of itself with other settings; where all is the same it is fitted again."""
    out = tmp_path / "run"
    small = [part for pair in ("hidden=8", "latent=3", "epochs=1", "batch=40") for part in ("--set", pair)]
    run("train", split, *small, "--out", out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    told = run("train", split, "--model", model, "--out", out, "--resume", code=2)
    assert told == f"minigen: {out} was made with another model: 'mult-vae', now {model!r}"
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    run("train", split, "--model", "ease", "--out", tmp_path / "ease")
    run("train", split, "--model", "ease", "--out", tmp_path / "ease", "--resume")
    words = ("--model", "ease", "--set", "l2=3", "--out", tmp_path / "ease", "--resume")
    assert "was made with another settings: {'l2': " in run("train", split, *words, code=2)


def test_columns_of_a_table_without_a_header_are_named(run, tmp_path):
    file = tmp_path / "plain.csv"
    lines = [f"i{(5 * u + 7 * k) % 12}\tu{u}" for u in range(40) for k in range(6)]
    file.write_text("\n".join(lines) + "\n")
    words = ("--header", "item,user", "--separator", "\\t", "--k-core", 1, "--held-out", 4)
    run("train", file, *words, "--model", "popularity", "--out", tmp_path / "run")
    split = read_split(tmp_path / "run")
    assert len(split.train_users) == 32
    assert split.items[:3] == ["i0", "i1", "i10"]


@pytest.mark.parametrize("name", ["[link=http://example.com]x[/link]", "[/x]"])
def test_the_name_of_a_split_is_no_markup(name, run, shop_run, tmp_path):
    folder = shutil.copytree(shop_run, tmp_path / "run")
    ids = json.loads((folder / "ids.json").read_text("utf-8"))
    (folder / "ids.json").write_text(json.dumps(ids | {"name": name}), "utf-8")
    assert run("evaluate", folder).startswith(f"{name}: 160 users")


@pytest.mark.parametrize("id", ["it'em; echo PWNED 1 '", "$(id)", "two words"])
def test_the_commands_that_are_shown_can_be_pasted(id, run, shop_run, tmp_path):
    split, out = read_split(shop_run), tmp_path / "my runs"
    items, users = [id, *split.items[1:]], [id, *split.test.users[1:]]
    write_split(tmp_path / "s", replace(split, items=items, test=replace(split.test, users=users)))
    said = run("train", tmp_path / "s", "--model", "ease", "--out", out / "a")
    assert shlex.split(said.partition("Next: ")[2])[-4:] == ["recommend", str(out / "a"), "--user", id]
    said = run("export", out / "a", "--out", out / "b")
    assert shlex.split(said.partition("Next: ")[2]) == ["python", str(out / "b" / "serve.py"), id]


def test_a_model_that_cannot_be_served_alone_says_so(run, shop_run, tmp_path, monkeypatch):
    monkeypatch.delitem(serve.SCORES, "mult-vae")
    told = run("export", shop_run, "--out", tmp_path / "out", code=2)
    assert told.startswith("minigen: mult-vae cannot be exported; there are ")
    assert set(serve.SCORES) < set(MODELS)
    assert not (tmp_path / "out").exists()


def test_acts_without_times_leave_no_order_to_generate(run, tmp_path):
    pairs = [(u, k) for u in range(40) for k in range(6)]
    lines = [f"u{u},i{(5 * u + 7 * k) % 12},{w}" for u, k in pairs for w in ("view", "buy")[: 1 + k % 2]]
    (tmp_path / "acts.csv").write_text("user,item,behaviour\n" + "\n".join(lines) + "\n")
    small = [part for pair in ("hidden=4", "latent=2", "epochs=1", "batch=20") for part in ("--set", pair)]
    words = ("--target", "buy", "--k-core", 1, "--split", "weak", "--model", "behaviour-vae")
    run("train", tmp_path / "acts.csv", *words, *small, "--out", tmp_path / "run")
    run(
        "generate",
        "users",
        tmp_path / "run",
        "-n",
        9,
        "--out",
        tmp_path / "u.csv",
        "--json",
        tmp_path / "u.json",
    )
    assert (tmp_path / "u.csv").read_text().splitlines()[0] == "user,item,behaviour"
    (row,) = json.loads((tmp_path / "u.json").read_text())["rows"]
    assert "sequences" not in row["report"]


@pytest.fixture
def demo(run, monkeypatch, tmp_path):
    """The demo on a shop of 64 items and as many that nobody has."""
    split = shop()

    def wide(part):
        return sparse.csr_matrix(sparse.hstack([part, sparse.csr_matrix(part.shape, dtype=np.float32)]))

    def held(part):
        return replace(part, fold_in=wide(part.fold_in), target=wide(part.target))

    items = [*split.items, *(f"no {item}" for item in split.items)]
    parts = {"validation": held(split.validation), "test": held(split.test)}
    whole = replace(split, train=wide(split.train), items=items, **parts)
    monkeypatch.setattr("minigen.cli.showcase.protocol_split", lambda name, seed: whole)
    small = {"hidden": 24, "latent": 6, "batch": 50, "lr": 5e-3, "dropout": 0.3}
    monkeypatch.setattr("minigen.cli.showcase.SETTINGS", small)
    return lambda *words, **options: run("demo", "--out", tmp_path / "demo", *words, **options)


def test_the_demo_does_not_say_that_a_linear_model_is_ahead_where_it_is_not(demo, tmp_path):
    said = " ".join(demo("--epochs", 25).split())
    assert "is still ahead" not in said
    verdict = r"EASE, in closed form, differs from Mult-VAE by ([+-]\d\.\d{3}), 95% interval"
    assert float(re.search(verdict, said)[1]) < 0.05
    assert "strong baseline on a small catalogue" in (tmp_path / "demo" / "report.html").read_text("utf-8")


def test_the_demo_wants_a_folder(demo, tmp_path):
    (tmp_path / "demo").write_text("mine")
    assert demo(code=2) == f"minigen: {tmp_path / 'demo'} is a file, not a folder"
    assert (tmp_path / "demo").read_text() == "mine"


def test_the_demo_leaves_the_run_of_another_model(demo, run, split, tmp_path):
    """Its own of before it replaces."""
    mine = tmp_path / "demo" / "run"
    run("train", split, "--model", "popularity", "--out", mine)
    before = {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()}
    assert demo(code=2) == f"minigen: {mine} holds another model, popularity: choose another --out"
    assert {path: path.read_bytes() for path in mine.rglob("*") if path.is_file()} == before
    shutil.rmtree(mine)
    demo("--epochs", 1)
    demo("--epochs", 2)


@pytest.mark.parametrize(
    ("found", "called", "wanted"),
    [
        ("/usr/bin/minigen", "/usr/bin/minigen", "minigen"),
        (None, "/usr/lib/python/minigen/__main__.py", "python -m minigen"),
        (None, "bin/minigen", "bin/minigen"),
        (None, f"{Path.cwd()}/.venv/bin/minigen", ".venv/bin/minigen"),
        (None, "my tools/minigen", "'my tools/minigen'"),
    ],
)
def test_the_next_command_is_what_a_person_can_type(found, called, wanted, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: found)
    monkeypatch.setattr(sys, "argv", [called])
    assert output.program() == wanted


@pytest.mark.parametrize(("metrics", "told"), [("foo", "foo"), ("recall@0", "recall@0"), ("recall@99", "99")])
def test_metrics_that_cannot_be_measured_are_refused_before_the_training(metrics, told, run, split, tmp_path):
    words = ["train", split, "--model", "popularity", "--out", tmp_path / "run", "--metrics", metrics]
    assert told in run(*words, code=2)
    assert not (tmp_path / "run").exists()


def test_a_note_that_is_no_text_is_written_as_escapes(run, split, tmp_path):
    words = ["train", split, "--model", "popularity", "--out", tmp_path / "run"]
    run(*words, "--json", tmp_path / "x.json", "--note", "\udcff")
    (row,) = json.loads((tmp_path / "x.json").read_text("utf-8"))["rows"]
    assert row["note"] == "\udcff"
