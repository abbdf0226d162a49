"""Without Numba, polars or matplotlib the parts that have no need of them work, and the others say so."""

from __future__ import annotations

import subprocess
import sys

import pytest

WORKS = """
import sys, tempfile
for name in sys.argv[1].split(","):
    sys.modules[name] = None
import numpy as np
from scipy import sparse
import minigen.data, minigen.evaluation, minigen.gan_training, minigen.ops, minigen.vae_training
from minigen.ladder import load_model
from minigen.recommender import MultVAE

rows = sparse.csr_matrix(np.eye(9, dtype=np.float32))
with tempfile.TemporaryDirectory() as run:
    MultVAE(hidden=4, latent=2, epochs=1, batch=9).fit(rows).save(run)
    items, scores = load_model(run).recommend(rows, 3)
assert items.shape == (9, 3)
"""
SAYS = """
import sys
sys.modules[sys.argv[1]] = None
from minigen.cli import main
main(sys.argv[2:])
"""


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("missing", ["numba", "polars", "matplotlib", "numba,polars,matplotlib,typer,rich"])
def test_what_has_no_need_of_it_works(missing: str) -> None:
    done = python(WORKS, missing)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("polars", ["train", "online-retail"]),
        ("numba", ["train", "online-retail", "--set", "backend=numba"]),
        ("matplotlib", ["demo"]),
    ],
)
def test_what_needs_it_says_so_in_one_line(missing: str, words: list[str], tmp_path: object) -> None:
    done = python(SAYS, missing, *words, "--out", f"{tmp_path}/run")
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert f"pip install {missing}" in done.stderr
