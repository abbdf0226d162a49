"""Run folders and checkpoints from other people: they load, or are refused in one line."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from scipy import sparse

from minigen.data import Interactions, strong_split
from minigen.errors import InputError
from minigen.files import read_arrays
from minigen.ladder import MODELS, load_model
from minigen.recommender import MultVAE
from minigen.recommender.runs import read_split, write_split
from minigen.training.checkpoint import latest_folder
from minigen.training.state import State, read_state

SMALL = {"hidden": 6, "latent": 3, "batch": 16, "epochs": 2, "patience": 0, "anneal_epochs": 2}
JUNK = [
    None,
    -1,
    1e308,
    10**40,
    "x",
    "",
    [],
    {},
    [[1]],
    {"a": 1},
    True,
    float("nan"),
    0,
    3,
    "../..",
    "<script>",
]


class StopError(Exception):
    """Stands for the moment at which a process dies."""


def make_run(run: Path, stopped: bool) -> Path:
    """A finished run, or one that stopped after two steps."""
    clicks = (np.random.default_rng(0).random((40, 12)) < 0.4).astype(np.float32)
    clicks[:, :3] = 1
    users, items = [f"u{n}" for n in range(40)], [f"{n:03d}" for n in range(12)]
    split = strong_split(Interactions(sparse.csr_matrix(clicks), users, items, {"001": "<script>"}), 5, 5, 0)

    def stop(state: Any, logged: dict[str, float]) -> None:
        if stopped and state.step == 2:
            raise StopError

    write_split(run, split)
    with suppress(StopError):
        MultVAE(**SMALL).fit(split.train, split.validation, run=run, checkpoint_seconds=0, report=stop)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: make_run(folder / name, name == "stopped") for name in ("finished", "stopped")}


def serve(run: Path) -> None:
    model, data = load_model(run), read_split(run)
    model.recommend(data.test.fold_in, 3)


def resume(run: Path) -> None:
    data = read_split(run)
    MultVAE(**SMALL).fit(data.train, data.validation, run=run, resume=True)


@st.composite
def other_json(draw: st.DrawFn, value: Any) -> Any:
    """`value` with something in it changed, taken out or doubled."""
    if value and isinstance(value, dict | list) and draw(st.integers(0, 6)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key, kind, value = draw(st.sampled_from(keys)), draw(st.integers(0, 3)), value.copy()
        if kind == 0:
            del value[key]
        elif kind == 1 and isinstance(value, list):
            value.append(value[key])
        else:
            value[key] = draw(other_json(value[key]))
        return value
    return draw(st.sampled_from(JUNK))


@st.composite
def damaged(draw: st.DrawFn, file: Path) -> bytes:
    content = file.read_bytes()
    if file.suffix == ".json" and draw(st.integers(0, 5)):
        return json.dumps(draw(other_json(json.loads(content)))).encode()
    if file.suffix == ".safetensors" and draw(st.booleans()):
        size = int.from_bytes(content[:8], "little")
        head = json.dumps(draw(other_json(json.loads(content[8 : 8 + size])))).encode()
        return len(head).to_bytes(8, "little") + head + content[8 + size :]
    at = draw(st.integers(0, len(content)))
    middle = draw(st.binary(max_size=12))
    return content[:at] + middle + (b"" if draw(st.booleans()) else content[at + len(middle) :])


def answer(read: Callable[[Path], None], run: Path) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*BLAS threads")  # the number of which is in the state
        try:
            read(run)
        except InputError as error:
            return str(error)
    return None


@pytest.mark.parametrize(("kind", "read"), [("finished", serve), ("stopped", resume)])
def test_a_damaged_run_is_used_or_refused_in_one_line(
    kind: str, read: Callable[[Path], None], runs: dict[str, Path], tmp_path: Path
) -> None:
    files = sorted(path.relative_to(runs[kind]) for path in runs[kind].rglob("*") if path.is_file())
    assert len(files) >= 8

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        run = tmp_path / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(runs[kind], run)
        name = data.draw(st.sampled_from(files))
        (run / name).write_bytes(data.draw(damaged(runs[kind] / name)))
        answer(read, run)

    assert answer(read, shutil.copytree(runs[kind], tmp_path / "whole")) is None
    fuzz()


def _change(file: Path, **arrays: Any) -> None:
    save_file(load_file(file) | arrays, file)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda f: _change(f / "optimizer-all.safetensors", **{"m.w_in": np.zeros((2, 2), np.float32)}),
            "(2, 2)",
        ),
        (lambda f: _change(f / "optimizer-all.safetensors", **{"m.w_in": np.float32([])}), "(0,)"),
        (lambda f: _change(f / "current.safetensors", b_out=np.zeros(13, np.float32)), "shapes"),
    ],
)
def test_what_does_not_fit_is_told_when_a_run_goes_on(
    change: Callable[[Path], None], told: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = shutil.copytree(runs["stopped"], tmp_path / "run")
    if not (latest_folder(run) / "current.safetensors").exists():
        shutil.copy(latest_folder(run) / "weights.safetensors", latest_folder(run) / "current.safetensors")
    change(latest_folder(run))
    line = answer(resume, run)
    assert line is not None
    assert "cannot be resumed" in line
    assert told in line


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e38])
def test_weights_that_are_no_numbers_do_not_serve(
    value: float, runs: dict[str, Path], tmp_path: Path
) -> None:
    run = shutil.copytree(runs["finished"], tmp_path / "run")
    file = latest_folder(run) / "weights.safetensors"
    _change(file, w_dec=np.full((3, 6), value, np.float32))
    assert "not finite, or above" in (answer(serve, run) or "")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"history": 3}, "a table of numbers"),
        ({"history": [1]}, "a table of numbers"),
        ({"step": -1}, "want whole numbers"),
        ({"best_epoch": 1.5}, "want whole numbers"),
        ({"finished": 1}, "want whole numbers"),
        ({"sums": {"loss": "x"}}, "want finite numbers"),
        ({"best_score": float("inf")}, "want finite numbers"),
    ],
)
def test_a_state_of_other_kinds_is_none(change: dict[str, Any], told: str) -> None:
    whole = asdict(State(step=3, best_score=0.5, best_epoch=1))
    assert read_state(whole) == State(step=3, best_score=0.5, best_epoch=1)
    with pytest.raises(TypeError, match=told):
        read_state(whole | change)


def test_a_head_that_claims_a_terabyte(tmp_path: Path) -> None:
    head = json.dumps({"w": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}).encode()
    for size in (len(head), 2**40):
        (tmp_path / "a.safetensors").write_bytes(size.to_bytes(8, "little") + head)
        with pytest.raises(InputError, match="damaged or is not a safetensors file"):
            read_arrays(tmp_path / "a.safetensors")


def test_a_run_that_points_elsewhere(runs: dict[str, Path], tmp_path: Path) -> None:
    run = shutil.copytree(runs["finished"], tmp_path / "run")
    secret = shutil.copytree(latest_folder(run), tmp_path / "step-7")
    for name in ("../step-7", str(secret), "step-4/../../step-7", "step-\0", "", "x" * 5000):
        (run / "LATEST").write_text(name)
        assert answer(serve, run)


@pytest.mark.parametrize("name", list(MODELS))
def test_arrays_of_other_names_or_shapes(name: str, runs: dict[str, Path], tmp_path: Path) -> None:
    """Each array of each model is cut, given an axis, has one less, is empty, or is not there."""
    data, few = read_split(runs["finished"]), {"epochs": 1, "hidden": 4, "latent": 3, "factors": 3}
    model = MODELS[name](**{key: value for key, value in few.items() if key in MODELS[name]().settings})
    learnt = dict(model.fit(data.train).params)

    def recommended(run: Path) -> None:
        load_model(run).recommend(data.test.fold_in, 3)

    for key, array in learnt.items():
        others = (array[:-1], array[..., :-1], array[:, None], array.ravel(), array[:0])
        changed = [{key: other} for other in others if other.shape != array.shape]
        for change in [*changed, {}]:
            model.params = {n: a for n, a in learnt.items() if n != key} | change
            model.save(tmp_path / "run")
            assert answer(recommended, tmp_path / "run"), (key, change)
