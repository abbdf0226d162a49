"""How a step of Mult-VAE grows with the catalogue, the batch and the histories: time and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from minigen.bench.mult_vae import Sizes
from minigen.bench.race import Racer

BASE = Sizes(20_000, hidden=64, latent=32, batch=100, clicks=50)
AXES: dict[str, tuple[int, ...]] = {
    "items": (1_000, 10_000, 100_000, 1_000_000),
    "items-sampled": (1_000, 10_000, 100_000, 1_000_000),
    "batch": (25, 100, 400, 1_600),
    "clicks": (10, 100, 1_000, 10_000),
}
NEGATIVES = 1_000  # of a sampled step
_SECONDS, _MOST = 1.0, 50  # that one size is timed for, and repeats at most


def sizes_of(axis: str, size: int) -> Sizes:
    """The base with one size changed; of "items-sampled", with a softmax over a sample."""
    name, _, sampled = axis.partition("-")
    return replace(BASE, **{name: size}, negatives=NEGATIVES if sampled else 0)


def growth(
    backends: tuple[str, ...], threads: int, report: Callable[[int], None] = lambda done: None
) -> Iterator[dict[str, Any]]:
    """A row for every axis, size and backend: `median_ms` and `peak_memory_mb` of a process of its own.

    The last row of an axis and backend holds `exponents`: of time and memory against size, fitted on a
    logarithmic scale to the largest two sizes, where what does not grow no longer counts.
    """
    done = 0
    for axis, sizes in AXES.items():
        for backend in backends:
            rows: list[dict[str, Any]] = []
            for size in sizes:
                rows.append(_row(axis, size, backend, threads))
                report(done := done + 1)
            rows[-1]["exponents"] = {key: exponent(rows[-2:], key) for key in ("median_ms", "peak_memory_mb")}
            yield from rows


def exponent(rows: list[dict[str, Any]], key: str) -> float:
    """p of key = c size^p, by least squares on the logarithms."""
    sizes, values = (np.log([float(row[name]) for row in rows]) for name in ("size", key))
    return float(np.polyfit(sizes, values, 1)[0])


def _row(axis: str, size: int, backend: str, threads: int) -> dict[str, Any]:
    racer = Racer(f"growth {axis} {size}", backend, threads)
    try:
        first = racer.run("step", 1)[0]
        seconds = racer.run("step", int(np.clip(_SECONDS / first, 2, _MOST)))
        memory = racer.peak_memory_mb()
    finally:
        racer.close()
    return {
        "op": "step",
        "backend": backend,
        "axis": axis,
        "size": size,
        "median_ms": 1e3 * float(np.median(seconds)),
        "peak_memory_mb": memory,
        "threads": threads,
    }
