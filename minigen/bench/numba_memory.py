"""Passes over memory that keep every thread busy: what bandwidth there is."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minigen.typing import Array

_CHUNK = 2**16  # entries a turn


@njit(parallel=True, cache=True)
def scale(x: Array, factor: np.float32) -> None:  # x *= factor
    """In place: one stream, read and written."""
    for chunk in prange((x.size + _CHUNK - 1) // _CHUNK):
        part = x[chunk * _CHUNK : (chunk + 1) * _CHUNK]  # an index that could be negative is no vector's
        for i in range(part.size):
            part[i] *= factor


@njit(parallel=True, cache=True)
def add(x: Array, y: Array, factor: np.float32) -> None:  # x += factor y
    """In place: a stream read and written, and one read."""
    for chunk in prange((x.size + _CHUNK - 1) // _CHUNK):
        part = x[chunk * _CHUNK : (chunk + 1) * _CHUNK]
        more = y[chunk * _CHUNK : (chunk + 1) * _CHUNK]
        for i in range(part.size):
            part[i] += factor * more[i]
