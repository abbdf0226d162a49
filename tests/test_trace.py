"""What `minigen trace` and `minigen where` tell is what happened, and where it stands."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from minigen import ops
from minigen.cli import main
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
    assert [array.shape for _, array in forward.arrays] == [(3, 5)]  # the cache is not counted
    np.testing.assert_array_equal(forward.arrays[0][1], y)
    assert [array.shape for _, array in backward.arrays] == [(3, 4), (4, 5), (5,)]
    assert min(forward.ms, backward.ms) > 0


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
