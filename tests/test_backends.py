"""Backends: which twin serves what, what is refused, and models that train and serve on one of them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from minigen import backends, ops
from minigen.errors import InputError
from minigen.ladder import load_model
from minigen.recommender import MultVAE, Popularity
from minigen.training import checkpoint

LOAD = sys.modules["minigen.backends.load"]  # the function of the same name hides the module
SMALL = {"hidden": 12, "latent": 5, "batch": 16, "epochs": 2, "patience": 0}


def clicks(n_users: int = 48, n_items: int = 30, a_row: int = 6) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    items = [np.sort(rng.choice(n_items, a_row, replace=False)) for _ in range(n_users)]
    indptr = a_row * np.arange(n_users + 1)
    shape = (n_users, n_items)
    return sparse.csr_matrix(
        (np.ones(n_users * a_row, np.float32), np.concatenate(items), indptr), shape=shape
    )


def test_numpy_is_the_reference_and_serves_everything():
    assert set(backends.NUMPY.rungs) == set(ops.__all__)
    assert set(backends.NUMPY.rungs.values()) == {"numpy"}
    assert all(getattr(backends.NUMPY, name) is getattr(ops, name) for name in ops.__all__)


def test_numba_serves_what_it_has_a_twin_for_and_says_so():
    numba = backends.load("numba")
    assert set(numba.rungs) == set(ops.__all__)
    for name, rung in numba.rungs.items():
        home = getattr(numba, name).__module__.rpartition(".")[2]
        assert home.partition("_")[0] == rung
        assert (getattr(numba, name) is getattr(ops, name)) == (rung == "numpy")
    served = {name for name, rung in numba.rungs.items() if rung == "numba"}
    assert served == {
        "adam_rows_catch_up", "adam_rows_step", "adam_step",
        "bernoulli_nll_backward", "bernoulli_nll_forward",
        "dense_backward", "dense_forward", "dropout_backward", "dropout_forward",
        "l2_normalise_backward", "l2_normalise_forward", "short_dense_forward", "softmax_nll_forward",
        "sparse_dense_backward",
        "sparse_dense_forward", "top_k",
    }  # fmt: skip


def test_a_backend_is_one_object_that_cannot_be_changed():
    numba = backends.load("numba")
    assert numba is backends.load("numba")
    with pytest.raises(AttributeError, match="cannot be changed"):
        numba.top_k = None
    with pytest.raises(TypeError):
        numba.rungs["top_k"] = "numpy"
    with pytest.raises(AttributeError, match="no operation 'matmul'"):
        numba.matmul  # noqa: B018


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_on_the_host_nothing_moves(name):
    backend = backends.load(name)
    for value in (np.ones(3), clicks(), {"w": np.ones(2)}):
        assert backend.put(value) is value
        assert backend.get(value) is value


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="backend: want numpy, numba, cuda, got tpu"):
        backends.load("tpu")
    with pytest.raises(InputError, match="backend: want numpy or numba or cuda, got tpu"):
        MultVAE(backend="tpu")


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [("numba", "numba", "pip install numba"), ("cuda", "numba.cuda", r"pip install 'minigen\[cuda\]'")],
)
def test_what_is_missing_is_named_with_its_cure(name, module, install, monkeypatch):
    real = importlib.import_module

    def without(wanted, *rest):
        if wanted == module:
            raise ImportError
        return real(wanted, *rest)

    monkeypatch.setattr(LOAD, "import_module", without)
    monkeypatch.setattr(LOAD, "_load", LOAD._load.__wrapped__)  # not what was loaded before
    with pytest.raises(InputError, match=install) as error:
        backends.load(name)
    assert "\n" not in str(error.value)


def test_a_device_without_an_operation_says_which_when_it_is_used():
    device = backends.Backend("cuda", {"top_k": LOAD._Missing("top_k", "cuda")}, put=id, get=id)
    assert dict(device.rungs) == {}
    with pytest.raises(InputError, match="the cuda backend has no top_k"):
        device.top_k(np.ones((1, 1)), 1)


def test_a_model_says_what_its_backend_cannot():
    for other in ({"likelihood": "bernoulli"}, {"optimizer": "sgd"}):
        with pytest.raises(InputError, match="cuda has the multinomial likelihood and adam"):
            MultVAE(backend="cuda", **other)


def test_a_run_is_served_by_another_backend_than_its_own(tmp_path):
    rows = clicks()
    MultVAE(**SMALL, backend="numba").fit(rows).save(tmp_path / "run")
    own, other = MultVAE.load(tmp_path / "run"), MultVAE.load(tmp_path / "run", backend="numpy")
    assert (own.settings["backend"], other.settings["backend"]) == ("numba", "numpy")
    assert (own.ops.name, other.ops.name) == ("numba", "numpy")
    np.testing.assert_array_equal(own.recommend(rows, 5)[0], other.recommend(rows, 5)[0])
    np.testing.assert_allclose(own.score(rows), other.score(rows), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="backend: want"):
        MultVAE.load(tmp_path / "run", backend="tpu")
    Popularity().fit(rows).save(tmp_path / "popularity")
    with pytest.raises(InputError, match="popularity has no backends"):
        Popularity.load(tmp_path / "popularity", backend="numba")


def test_a_run_of_a_missing_backend_is_served_by_numpy_with_one_line(tmp_path, monkeypatch):
    rows = clicks()
    MultVAE(**SMALL).fit(rows).save(tmp_path / "run")
    state = checkpoint.latest_folder(tmp_path / "run") / "state.json"
    told = json.loads(state.read_text())
    told["settings"]["backend"] = "cuda"
    state.write_text(json.dumps(told))
    real = backends.load

    def load(name="numpy"):
        if name == "cuda":
            raise InputError("the cuda backend needs a GPU")
        return real(name)

    monkeypatch.setattr(LOAD, "load", load)
    with pytest.warns(UserWarning, match="^the cuda backend needs a GPU; going on with numpy$"):
        model = load_model(tmp_path / "run")
    assert model.ops is backends.NUMPY
    assert model.recommend(rows, 3)[0].shape == (48, 3)


def test_runs_from_before_there_were_backends_still_load(tmp_path):
    MultVAE(**SMALL).fit(clicks()).save(tmp_path / "run")
    state = checkpoint.latest_folder(tmp_path / "run") / "state.json"
    told = json.loads(state.read_text())
    del told["settings"]["backend"]
    state.write_text(json.dumps(told))
    assert MultVAE.load(tmp_path / "run").ops is backends.NUMPY
    assert MultVAE.load(tmp_path / "run", backend="numba").ops.name == "numba"


@pytest.mark.parametrize(("name", "limit"), [("numba", 2**20), ("numpy", 2**22)])
def test_a_step_after_the_first_allocates_no_large_array(name, limit):
    n_items, batch, peaks = 24_000, 250, []
    assert n_items * batch * 4 > 20e6  # bytes of the logits

    def report(state, logged):
        peaks.append(tracemalloc.get_traced_memory()[1] - before[-1])
        before.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.reset_peak()

    rows = clicks(4 * batch, n_items, 20)
    model = MultVAE(hidden=8, latent=4, batch=batch, epochs=1, backend=name)
    model.fit(rows[:batch])  # the kernels are compiled
    tracemalloc.start()
    before = [tracemalloc.get_traced_memory()[0]]
    try:
        model.fit(rows, report=report)
    finally:
        tracemalloc.stop()
    assert peaks[0] > 20e6
    assert max(peaks[1:4]) < limit


def test_the_command_trains_on_a_backend(tmp_path):
    command = Path(sys.executable).with_name("minigen")
    if not command.exists():
        pytest.skip("the minigen command is not installed beside this Python")
    events = tmp_path / "events.csv"
    pairs = [f"u{u},i{i}" for u, row in enumerate(clicks(60, 30, 8).toarray()) for i in np.flatnonzero(row)]
    events.write_text("user,item\n" + "\n".join(pairs) + "\n")
    settings = [f"--set={name}={value}" for name, value in (SMALL | {"backend": "numba"}).items()]
    train = [command, "train", events, "--out", tmp_path / "run", *settings, "--k-core", "2"]
    done = subprocess.run(train, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert MultVAE.load(tmp_path / "run").ops.name == "numba"
    done = subprocess.run([*train, "--set=backend=tpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
