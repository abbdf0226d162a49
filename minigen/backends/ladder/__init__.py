"""A dense layer written again and again, each time a step nearer to what the processor can do."""

from __future__ import annotations

from minigen.backends.ladder.blas import blas
from minigen.backends.ladder.loops import compiled, loops, shared
from minigen.backends.ladder.memory_order import memory_order
from minigen.backends.ladder.register_tiles import register_tiles
from minigen.backends.ladder.rung import Rung

__all__ = ["RUNGS", "Rung"]

RUNGS = (
    Rung("loops", loops, "Python looks up every number and every operation anew.", 128, False),
    Rung("njit", compiled, "The same lines compiled; they fetch every number anew, far apart.", 512, False),
    Rung("prange", shared, "Rows shared out: as many times faster as there are threads, no more.", 512, True),
    Rung("order", memory_order, "Walk as memory lies, and an instruction does eight sums.", 2048, True),
    Rung("tiles", register_tiles, "Fetch a number once, and use it while it is in a register.", 4096, True),
    Rung("blas", blas, "Leave the product to BLAS; fuse what follows into one pass.", 4096, True),
)
