"""What every test stands on: floating-point faults are errors, random numbers seeded, kernels fresh."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def _kernels() -> str:
    """A name for the kernels as they stand: a change in one file must not meet another's old machine code."""
    digest = hashlib.sha256(version("numba").encode())
    for path in sorted((ROOT / "minigen").rglob("*.py")):
        if path.name.startswith("numba_") or b"njit" in path.read_bytes():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Before anything loads Numba; commands that a test starts inherit it.
os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / "numba" / _kernels())


@pytest.fixture(autouse=True)
def _strict_floats() -> Iterator[None]:
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator, the same in each test."""
    return np.random.default_rng(20181)
