"""What the machine can do at best: the speed of BLAS and of memory, measured beside what they judge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.bench.cases import Case

_SIDE = 2048  # of the square product: its three arrays fill 50 MB, and it takes 17 GFLOP
_SIZE = 2**25  # float32 of the array that is walked through: 128 MB, beyond any cache


class Roofline(NamedTuple):
    """`gflops` of a large float32 product; `gb_per_second` of a pass that reads and writes memory."""

    gflops: float
    gb_per_second: float

    def floor_ms(self, gflop: float, gb: float) -> float:
        """The least time of work that does `gflop` of products and moves `gb` besides."""
        return 1e3 * (gflop / self.gflops + gb / self.gb_per_second)


def machine_cases() -> dict[str, Case]:
    """The two probes: a large product, and a pass over an array in which every thread scales its share."""
    from minigen.bench.numba_memory import scale

    rng = np.random.default_rng(0)
    a, b = (rng.random((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    product, array = np.empty_like(a), np.ones(_SIZE, np.float32)
    return {
        "gemm": Case(lambda: np.matmul(a, b, out=product), gflop=2e-9 * _SIDE**3),
        "memory": Case(lambda: scale(array, np.float32(1)), gb=8e-9 * _SIZE),
    }
