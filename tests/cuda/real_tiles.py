"""The twins with the tiles and blocks of a GPU in the simulator, where they otherwise have smaller ones."""

from __future__ import annotations

import numpy as np
import pytest
from numba import config, cuda
from test_parity import Draw, Room, compare, dense, normalise, softmax_nll, sparse_dense, top_k

from minigen import backends
from minigen.backends import NUMPY
from minigen.ops.cuda_simulator import repair

simulated = config.ENABLE_CUDASIM
assert cuda.is_available()
config.ENABLE_CUDASIM = 0  # for the constants alone: what simulates is loaded
CUDA = backends.load("cuda")
repair()
from minigen.ops.cuda_kernels import THREADS  # noqa: E402
from minigen.ops.cuda_matmul import SLICE, TILE  # noqa: E402

config.ENABLE_CUDASIM = simulated


@pytest.mark.parametrize(
    "run, size",
    [(dense, (2, 66, 3)), (normalise, (2, 131, 1)), (softmax_nll, (2, 131, 1)), (sparse_dense, (2, 7, 130))],
)
def test_a_twin_gives_what_numpy_gives(run, size) -> None:
    assert (THREADS, TILE, SLICE) == (128, 64, 256)
    expected, got = (run(ops, Draw(0, np.float32, "c"), *size) for ops in (NUMPY, CUDA))
    compare(Room(run, (), unit=0.1), expected, [CUDA.get(part) for part in got], np.dtype(np.float32))


def test_the_best_are_those_of_numpy() -> None:
    expected, got = (top_k(ops, Draw(0, np.float32, "c"), 2, 131, 3) for ops in (NUMPY, CUDA))
    compare(Room(top_k, (), exact=True), expected, [CUDA.get(part) for part in got], np.dtype(np.float32))
