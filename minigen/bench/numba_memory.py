"""A pass over memory that keeps every thread busy: what bandwidth there is."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minigen.typing import Array


@njit(parallel=True, cache=True)
def scale(x: Array, factor: np.float32) -> None:  # x *= factor
    """In place, a chunk of 64 Ki entries a turn."""
    for chunk in prange((x.size + 65535) // 65536):
        for i in range(chunk * 65536, min(x.size, (chunk + 1) * 65536)):
            x[i] *= factor
