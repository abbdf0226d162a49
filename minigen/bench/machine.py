"""What the machine can do at best: the speed of BLAS and of memory, measured beside what they judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minigen.bench.cases import Case
from minigen.typing import Array

_SIDE = 2048  # of the square product: its three arrays fill 50 MB, and it takes 17 GFLOP
_BATCH, _HIDDEN, _ITEMS = 500, 600, 20_108  # of the widest product of Mult-VAE's step
_SIZE = 2**25  # float32 of an array that is walked through: 128 MB, beyond any cache


class Roofline(NamedTuple):
    """`gflops` of large float32 products; `gb_per_second` of a pass that reads and writes memory."""

    gflops: float
    gb_per_second: float

    def floor_ms(self, gflop: float, gb: float) -> float:
        """The least time of work that does `gflop` of products and moves `gb` besides."""
        return 1e3 * (gflop / self.gflops + gb / self.gb_per_second)

    @classmethod
    def of(cls, probes: Mapping[str, Mapping[str, float]], seconds: Mapping[str, float]) -> Roofline:
        """The best that any product and any pass over memory reached, in so many seconds."""
        gflops = max(about["gflop"] / seconds[name] for name, about in probes.items())
        return cls(gflops, max(about["gb"] / seconds[name] for name, about in probes.items()))


def machine_cases() -> dict[str, Case]:
    """Probes: a square product and the widest of a step; passes that scale an array, or add one to another.

    Which one is the fastest depends on the processor and on its neighbours; a floor needs the fastest.
    """
    from minigen.bench.numba_memory import add, scale

    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Array:
        return rng.random(shape, dtype=np.float32)

    a, b, product = (draw(_SIDE, _SIDE) for _ in range(3))
    x, w, logits = draw(_BATCH, _HIDDEN), draw(_HIDDEN, _ITEMS), draw(_BATCH, _ITEMS)
    one, other = (np.ones(_SIZE, np.float32) for _ in range(2))  # np.zeros would be one page of zeros, cached
    unit = np.float32(1)
    return {
        "gemm": Case(lambda: np.matmul(a, b, out=product), gflop=2e-9 * _SIDE**3),
        "gemm wide": Case(lambda: np.matmul(x, w, out=logits), gflop=2e-9 * _BATCH * _HIDDEN * _ITEMS),
        "memory": Case(lambda: scale(one, unit), gb=8e-9 * _SIZE),
        "memory add": Case(lambda: add(one, other, -unit), gb=12e-9 * _SIZE),
    }
