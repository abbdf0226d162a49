"""What every test stands on: floating-point faults are errors, and random numbers are seeded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _strict_floats() -> Iterator[None]:
    with np.errstate(all="raise", under="ignore"):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator, the same in each test."""
    return np.random.default_rng(20181)
