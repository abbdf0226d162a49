"""The rungs of a GPU: from one thread an entry to 8 x 8 entries a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from numba import cuda

from minigen.backends.ladder import cuda_naive, cuda_registers, cuda_shared
from minigen.backends.ladder.rung import ordered
from minigen.ops.cuda_kernels import blocks
from minigen.typing import Array


class CudaRung(NamedTuple):
    """`kernel` fills y (B, O) from x (B, I), w (I, O), b (O,); on the device, C-ordered, of one dtype.

    home: the module of the kernel, with the THREADS of a block and the TILE of y that it fills;
    teaches, largest: as of a `Rung`.
    """

    name: str
    kernel: Any
    home: ModuleType
    teaches: str
    largest: int

    def __call__(self, x: Array, w: Array, b: Array) -> Array:
        """y = x w + b (B, O) of arrays on the host, in the widest of their dtypes.

        Raises ValueError where the shapes do not fit.
        """
        return self.prepare(x, w, b)().copy_to_host()

    def prepare(self, x: Array, w: Array, b: Array) -> Callable[[], Any]:
        """Put the arguments on the device: what comes back computes y there once a call, and waits for it."""
        args = ordered(x, w, b)
        y = cuda.device_array((x.shape[0], w.shape[1]), args[0].dtype)
        rows, columns = self.home.TILE
        launch = self.kernel[(blocks(w.shape[1], columns), blocks(x.shape[0], rows)), self.home.THREADS]
        return partial(_run, launch, [*map(cuda.to_device, args), y])


def _run(launch: Callable[..., None], arrays: list[Any]) -> Any:
    launch(*arrays)
    cuda.synchronize()
    return arrays[-1]


CUDA_RUNGS = (
    CudaRung("cuda-naive", cuda_naive.naive, cuda_naive, "A thread for every entry of y.", 8192),
    CudaRung(
        "cuda-shared", cuda_shared.shared_tiles, cuda_shared, "Fetch tiles together, and share them.", 8192
    ),
    CudaRung(
        "cuda-registers",
        cuda_registers.register_tiles,
        cuda_registers,
        "64 sums a thread, in registers.",
        8192,
    ),
)
