"""What the kernels share: exp and max are right to rounding, and machine code is that of these sources."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigen.ops import numba_maths

PACKAGE = Path(__file__).parents[1] / "minigen"


def test_the_short_series_is_exp_below_0():
    x = np.linspace(-87, 0, 2001, dtype=np.float32)
    got = np.array([numba_maths._exp_float32(a) for a in x])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.exp(x.astype(np.float64)), rtol=3e-7)
    assert numba_maths._exp_float32(np.float32(-88)) == 0
    assert numba_maths._exp_float64(-800.0) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_of_either_sign(dtype):
    largest = numba_maths._max_float32 if dtype == np.float32 else numba_maths._max_float64
    for row in ([-3.0], [-2.0, -0.5, -7.0], [0.0, 1e-40, -1e30], [5.0, np.inf], [-np.inf, -1.0]):
        assert largest(np.array(row, dtype)) == np.array(row, dtype).max()


STEP = """
import numpy as np
from minigen.ops.adam.numba_adam import AdamState, adam_step
w = np.zeros(3)
adam_step(w, np.ones(3), AdamState.zeros_like(w), lr=1.0)
print(round(w[0]))
"""


@pytest.mark.slow
def test_a_change_in_a_callee_reaches_its_callers(tmp_path):
    copied = tmp_path / "minigen"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__", "sets"))
    ours = ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")
    env = {k: v for k, v in os.environ.items() if k not in ours} | {"PYTHONPATH": str(tmp_path)}
    kept = copied / "ops" / "adam" / "__pycache__"

    def step() -> str:
        done = subprocess.run(
            [sys.executable, "-c", STEP], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert len(list(kept.glob("numba_adam._walk*.nbi"))) == 1, "stale machine code does not pile up"
        return done.stdout.strip()

    assert step() == step() == "-1"
    fused = copied / "ops" / "adam" / "numba_fused.py"
    text = fused.read_text("utf-8")
    assert text.count("w[j] -= rate") == 1
    fused.write_text(text.replace("w[j] -= rate", "w[j] += rate"), "utf-8")
    assert step() == "1"


def test_a_file_beside_the_kernels_changes_their_name(tmp_path):
    ops = tmp_path / "ops"
    shutil.copytree(PACKAGE / "ops", ops, ignore=shutil.ignore_patterns("__pycache__"))
    assert numba_maths._digest(ops) == numba_maths._SOURCES
    for name in ("adam/numpy_adam.py", "adam/numba_fused.py", "numba_maths.py"):
        before = numba_maths._digest(ops)
        (ops / name).write_bytes((ops / name).read_bytes() + b"\n")
        assert numba_maths._digest(ops) != before


def test_kernels_are_made_of_what_is_digested():
    for path in PACKAGE.rglob("numba_*.py"):
        taken = [
            node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        if not any(node.module == "minigen.ops.numba_maths" for node in taken):
            continue  # Numba keeps nothing of it, or it is made of its own file
        own = {node.module for node in taken if (node.module or "").startswith("minigen.")}
        assert {name for name in own if not name.startswith("minigen.ops")} <= {"minigen.typing"}, path
