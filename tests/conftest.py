"""What every test stands on: floating-point faults are errors, random numbers seeded, kernels kept apart."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # some builds read it as NumPy is loaded, or never

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]

# Before anything loads Numba; commands that a test starts inherit it.
os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "numba" / version("numba"))


@pytest.fixture(autouse=True)
def _strict_floats() -> Iterator[None]:
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator, the same in each test."""
    return np.random.default_rng(20181)


@pytest.fixture(scope="session")
def shop_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a shop of 14 items and two tastes: u0 has items 000 to 002, even items are bags."""
    from scipy import sparse

    from minigen.data import HeldOut, Split
    from minigen.recommender import MultVAE
    from minigen.recommender.runs import write_split

    n_items = 14
    rng = np.random.default_rng(1)
    dense = np.zeros((160, n_items), dtype=np.float32)
    for row in dense:
        row[7 * rng.integers(2) + rng.choice(7, 4, replace=False)] = 1
    rest = dense.copy()
    for row in rest:
        row[np.flatnonzero(row)[1:]] = 0
    fold_in, target = sparse.csr_matrix(dense - rest), sparse.csr_matrix(rest)
    first = sparse.csr_matrix(np.repeat([[1.0, 0]], [3, 11], axis=1).astype(np.float32))
    items = [f"{n:03d}" for n in range(n_items)]
    names = {item: f"{'Bag' if n % 2 == 0 else 'Cup'} {n}" for n, item in enumerate(items)}
    validation = HeldOut(fold_in[:60], target[:60], [f"v{n}" for n in range(60)])
    shown = sparse.csr_matrix(sparse.vstack([first, fold_in[60:90]]))
    hidden = sparse.csr_matrix(sparse.vstack([np.eye(1, n_items, 5, dtype=np.float32), target[60:90]]))
    test = HeldOut(shown, hidden, [f"u{n}" for n in range(31)])
    users = [f"t{n}" for n in range(160)]
    split = Split("shop", sparse.csr_matrix(dense), users, items, validation, test, names)
    folder = tmp_path_factory.mktemp("shop") / "run"
    write_split(folder, split)
    MultVAE(hidden=12, latent=4, epochs=15, batch=40, lr=5e-3, dropout=0.3).fit(split.train).save(folder)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A command that must end with `code`; gives what it said, of a refusal the line."""
    from minigen.cli import main

    def call(*words: Any, code: int = 0) -> str:
        with pytest.raises(SystemExit) as stop:
            main([*map(str, words)])
        said = capsys.readouterr()
        assert (stop.value.code or 0) == code, said.err
        if code:
            (line,) = said.err.splitlines()
            return line
        return said.out

    return call
