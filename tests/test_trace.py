"""What `minigen trace` and `minigen where` tell is what happened, and where it stands."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest
from scipy import sparse

from minigen import ops, trace
from minigen.cli import main
from minigen.mlp import init_mlp, mlp_forward
from minigen.trace import tracing


def _run(*args: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    return int(stop.value.code or 0)


def test_calls_are_told_with_equation_arrays_and_time(rng):
    x, w, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 5)), rng.standard_normal(5)
    with tracing() as calls:
        y, cache = ops.dense_forward(x, w, b)
        ops.dense_backward(y, cache)
    forward, backward = calls
    assert (forward.name, forward.equation) == ("dense_forward", "dense-forward")
    (array,) = forward.arrays  # the cache is not counted
    assert (array.shape, array.low, array.high, array.bytes) == ((3, 5), y.min(), y.max(), y.nbytes)
    assert [array.shape for array in backward.arrays] == [(3, 4), (4, 5), (5,)]
    assert min(forward.ms, backward.ms) > 0


def test_ranges_are_those_at_the_return_whatever_is_written_there_later(rng):
    logits = rng.standard_normal((4, 9))
    low, high = logits.min(), logits.max()
    x = sparse.csr_matrix(np.eye(4, 9))
    with tracing() as calls:
        y, _ = ops.dense_forward(logits, np.eye(9), np.zeros(9))
        ops.softmax_nll_forward(y, x, out=y)  # the gradient takes the place of the logits
    (array,) = calls[0].arrays
    assert (array.low, array.high) == (low, high)


def test_what_is_seen_of_a_value_is_every_array_and_number_in_it():
    """Asked directly: what Python itself calls within a traced block, no coverage can follow."""
    call = trace.Call("f", "dense-forward", 0)
    value = {"w": np.array([2.0, -1.0]), "name": "w"}, (3, np.float32(0.5)), sparse.eye(2, format="csr"), None
    trace._collect(call, "", (*value, np.zeros((0, 4))))
    assert [(seen.name, seen.shape, seen.low, seen.high) for seen in call.arrays] == [
        *(("w", (2,), -1.0, 2.0), ("non-zeros", (2,), 1.0, 1.0), ("", (0, 4), None, None)),
    ]
    assert call.numbers == [3.0, 0.5]
    trace._want_finite(call)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.array([1.0, np.nan]), r"f \[eq:dense-forward\] made nan to nan in an array of shape \(2,\)"),
        ({"w": np.array([1.0, np.inf])}, r"f \[eq:dense-forward\] made 1.0 to inf in w of shape \(2,\)"),
        (np.float64(-np.inf), r"f \[eq:dense-forward\] made -inf"),
    ],
)
def test_what_is_not_finite_is_named(value, told):
    call = trace.Call("f", "dense-forward", 0)
    trace._collect(call, "", value)
    with pytest.raises(FloatingPointError, match=told):
        trace._want_finite(call)


def test_the_time_of_looking_is_nobodys(rng, monkeypatch):
    monkeypatch.setattr(trace, "_collect", lambda *_: time.sleep(0.2))
    params = init_mlp([3, 4, 2], rng, "relu")
    with tracing() as calls:
        mlp_forward(rng.standard_normal((5, 3)), params, "relu")
    whole, *parts = calls
    assert (whole.depth, {part.depth for part in parts}) == (0, {1})
    assert sum(part.ms for part in parts) <= whole.ms < 200  # three looks at its parts take 600


def test_nothing_watches_after_the_block():
    before = sys.getprofile()
    with pytest.raises(ZeroDivisionError), tracing():
        1 / 0  # noqa: B018
    assert sys.getprofile() is before


@pytest.mark.parametrize("model", ["mult-vae", "vae", "gan", "wgan-gp"])
def test_a_step_goes_forward_and_back(model, tmp_path, capsys):
    pairs = {"mult-vae": ("hidden=20", "latent=5"), "vae": ("hidden=20",)}.get(model, ("hidden=16",))
    path = tmp_path / "trace.json"
    args = [part for pair in pairs for part in ("--set", pair)]
    assert _run("trace", model, *args, "--json", str(path)) == 0
    rows = json.loads(path.read_text("utf-8"))["rows"]
    names = [row["operation"] for row in rows]
    assert {"dense_forward", "dense_backward"} <= set(names)
    assert names.index("dense_forward") < names.index("dense_backward")
    assert "adam_step" in names[names.index("dense_backward") :]
    assert all(row["equation"].startswith("eq:") and row["ms"] > 0 for row in rows)
    assert all(array["min"] <= array["max"] for row in rows for array in row["arrays"] if array["bytes"])
    assert "ms" in capsys.readouterr().out


def test_an_unknown_model_is_one_line(capsys):
    assert _run("trace", "oracle") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_where_finds_chapter_code_and_test(tmp_path):
    path = tmp_path / "where.json"
    assert _run("where", "eq:five-point", "--json", str(path)) == 0
    rows = json.loads(path.read_text("utf-8"))["rows"]
    kinds = {row["what"]: row["place"] for row in rows}
    assert kinds["chapter"].startswith("chapters/02-gradcheck.md:")
    assert kinds["code"].startswith("minigen/gradcheck/")
    assert kinds["test"].startswith("tests/")


def test_where_names_the_nearest(capsys):
    assert _run("where", "eq:" + "gausian-kl") == 2
    assert "eq:gaussian-kl" in capsys.readouterr().err


def test_what_is_asked_for_without_a_file_is_printed_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert _run("where", "eq:five-point") == 0
    assert "chapters/02-gradcheck.md" in capsys.readouterr().out
    assert _run("trace", "gan", "--set", "hidden=8") == 0
    assert " operations, " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
