"""An exported model answers as the run did, in a Python that has NumPy alone."""

from __future__ import annotations

import runpy
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from minigen.application.filters import available
from minigen.cli import main
from minigen.ladder import MODELS, load_model
from minigen.mlp import ACTIVATIONS
from minigen.recommender import serve
from minigen.recommender.lookup import history_of_items
from minigen.recommender.runs import read_split

EVENTS = [(f"u{n}", f"i{(n * k + k * k) % 17}") for n in range(40) for k in range(1, 8)]
AUTOENCODERS = "seed-vae", "ae", "dae", "mult-dae", "mult-vae", "beta-vae"
SETTINGS = {name: ["hidden=12", "latent=4", "epochs=2", "batch=10"] for name in AUTOENCODERS} | {
    "itemknn": ["neighbours=5"],
    "edlae": ["l2=5"],
    "ials": ["factors=6", "epochs=3"],
    "spectral": ["factors=5"],
    "linear-vae": ["hidden=12", "latent=4", "epochs=2", "batch=10", "path_factors=5"],
    "recvae": ["hidden=12", "latent=4", "layers=3", "epochs=4", "batch=10"],
    "cfgan": ["hidden=12", "hidden_d=6", "epochs=2", "batch_g=8", "batch_d=8"],
}


def _run(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    return int(stop.value.code or 0)


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in EVENTS), "utf-8")
    return str(path)


def _train(events, tmp_path, model, *pairs):
    out = tmp_path / "run"
    flags = [part for pair in pairs for part in ("--set", pair)]
    held = ["--held-out", "4", "--k-core", "1"]
    assert _run("train", events, "--model", model, *held, *flags, "--out", str(out)) == 0
    return out


@pytest.mark.parametrize("model", serve.SCORES)
def test_top_10_is_that_of_the_run(model, events, tmp_path):
    run = _train(events, tmp_path, model, *SETTINGS.get(model, []))
    _check_same_answers(run, tmp_path)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_served(activation, events, tmp_path):
    run = _train(events, tmp_path, "mult-vae", *SETTINGS["mult-vae"], f"activation={activation}")
    _check_same_answers(run, tmp_path)


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        ("mult-vae", "hidden=0"),
        ("linear-vae", "path=spectral"),
        ("edlae", "locality=1"),
        ("recvae", "layers=0"),
        ("spectral", "gram=0"),
        ("cfgan", "rows=users"),
    ],
)
def test_every_form_is_served(model, setting, events, tmp_path):
    run = _train(events, tmp_path, model, *SETTINGS[model], setting)
    _check_same_answers(run, tmp_path)


def _check_same_answers(run, tmp_path):
    out = tmp_path / "exported"
    assert _run("export", str(run), "--out", str(out)) == 0
    model, data = load_model(run), read_split(run)
    exported = serve.Model(out / "model.safetensors")
    assert exported.items == data.items
    for history in (["i3"], ["i1", "i9", "i12"], data.items[:6]):
        columns = sorted(data.items.index(item) for item in history)
        row = csr_matrix(
            (np.ones(len(columns), np.float32), columns, [0, len(columns)]), (1, len(data.items))
        )
        items, scores = model.recommend(row, 10)
        found = exported.recommend(history, 10)
        assert [item for item, _, _ in found] == [data.items[i] for i in items[0] if i >= 0]
        np.testing.assert_allclose([s for _, s, _ in found], scores[0][items[0] >= 0], rtol=1e-4, atol=1e-5)


def test_the_script_needs_numpy_alone(events, tmp_path):
    run, out = _train(events, tmp_path, "popularity"), tmp_path / "exported"
    assert _run("export", str(run), "--out", str(out)) == 0
    only_numpy = (
        "import runpy, sys\n"
        "class Wall:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'minigen', 'scipy', 'safetensors', 'numba'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Wall())\n"
        "sys.argv = ['serve.py', 'i3', '-k', '2']\n"
        "runpy.run_path('serve.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", only_numpy], cwd=out, capture_output=True, text=True, check=True
    )
    assert [len(line.split("\t")) for line in done.stdout.splitlines()] == [3, 3]


@pytest.mark.parametrize(
    "args", [["nothing like it"], ["i3", "--weights", "serve.py"], ["i3", "-k", "-2"], ["i3", "-k", "0"]]
)
def test_bad_input_is_one_line(args, events, tmp_path):
    run, out = _train(events, tmp_path, "popularity"), tmp_path / "exported"
    assert _run("export", str(run), "--out", str(out)) == 0
    done = subprocess.run(
        [sys.executable, "serve.py", *args], cwd=out, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_the_script_prints_what_the_model_says_and_refuses_in_one_line(events, tmp_path, monkeypatch, capsys):
    run, out = _train(events, tmp_path, "popularity"), tmp_path / "exported"
    assert _run("export", str(run), "--out", str(out)) == 0
    weights, exported = str(out / "model.safetensors"), serve.Model(out / "model.safetensors")
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["serve.py", "i3", "I9", "-k", "3", "--weights", weights])
    with pytest.raises(SystemExit) as stop:
        serve.main()
    assert (stop.value.code, capsys.readouterr().err) == (2, "unknown item 'I9'\n")
    monkeypatch.setattr(sys, "argv", ["serve.py", "i3", "-k", "3", "--weights", weights])
    runpy.run_path(serve.__file__, run_name="__main__")
    said = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert said == [[item, f"{score:.4f}", name] for item, score, name in exported.recommend(["i3"], 3)]
    with pytest.raises(ValueError, match="name at least one item"):
        exported.recommend([])


def test_what_the_data_says_steers_no_terminal_and_stays_in_its_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["serve.py", "\x1b[31m"])
    monkeypatch.setattr(serve, "Model", lambda weights: SimpleNamespace(recommend=found))

    def found(items, k):
        return [("\x1b[31m1", 0.5, "Hat\n\u202e é")]

    serve.main()
    assert capsys.readouterr().out == "\\x1b[31m1\t0.5000\tHat\\n\\u202e é\n"


def test_a_name_of_two_items_is_not_guessed_at(tmp_path):
    path = tmp_path / "events.csv"
    names = {"i3": "Cup", "i4": "CUP"}
    lines = (f"{u},{i},{names.get(i, 'Bag ' + i)}\n" for u, i in EVENTS)
    path.write_text("user,item,item_name\n" + "".join(lines), "utf-8")
    run, out = _train(str(path), tmp_path, "popularity"), tmp_path / "exported"
    assert _run("export", str(run), "--out", str(out)) == 0
    exported, data = serve.Model(out / "model.safetensors"), read_split(run)
    for find in (
        exported.recommend,
        lambda asked: history_of_items(data, asked),
        lambda a: available(data, a),
    ):
        with pytest.raises(ValueError, match="several items are called 'cup': give the id, 'i3' or 'i4'"):
            find(["cup"])
        find(["i4", "bag i5"])


@pytest.mark.parametrize("fresh", ["true", "false"])
def test_several_behaviours_are_served_as_by_the_run(fresh, tmp_path):
    path = tmp_path / "shop.csv"
    rows = [(u, i, "view") for u, i in EVENTS] + [(u, i, "buy") for u, i in EVENTS[::3]]
    path.write_text("user,item,behaviour\n" + "".join(",".join(row) + "\n" for row in rows), "utf-8")
    flags = ["--target", "buy", "--model", "behaviour-vae", "--k-core", "1", "--split", "weak"]
    pairs = [part for pair in (*SETTINGS["mult-vae"], f"fresh={fresh}") for part in ("--set", pair)]
    assert _run("train", str(path), *flags, *pairs, "--out", str(tmp_path / "run")) == 0
    out, data = tmp_path / "exported", read_split(tmp_path / "run")
    assert _run("export", str(tmp_path / "run"), "--out", str(out)) == 0
    history = ["view:i3", "view:i7", "buy:i7"]
    row = csr_matrix(np.isin(data.items, history).astype(np.float32)[None])
    assert row.nnz == 3
    items, scores = load_model(tmp_path / "run").recommend(row, 34)
    found = serve.Model(out / "model.safetensors").recommend(history, 34)
    assert [item for item, _, _ in found] == [data.items[i] for i in items[0] if i >= 0]
    assert ("buy:i3" in [item for item, _, _ in found]) is (fresh == "false")
    np.testing.assert_allclose([s for _, s, _ in found], scores[0][items[0] >= 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cut", [0, 4, 9, 200])
def test_a_damaged_file_is_refused(cut, events, tmp_path):
    run, out = _train(events, tmp_path, "popularity"), tmp_path / "exported"
    assert _run("export", str(run), "--out", str(out)) == 0
    file = out / "model.safetensors"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError):
        serve.Model(file)


def test_every_model_can_be_exported_or_says_no():
    assert set(serve.SCORES) <= set(MODELS)
