"""Every CUDA kernel compiled and assembled, on a machine without a GPU: registers, shared memory, spills."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, files, version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from minigen import ops
from minigen.errors import InputError

if TYPE_CHECKING:
    from minigen.ops.cuda_kernels import Declared

ARCHITECTURES = (75, 80, 90)
REALS = ("float32", "float64")

_INSTALL = "pip install 'minigen[cuda-compile]'"
_FIGURES = {
    "registers": r"Used (\d+) registers",
    "shared_bytes": r"(\d+) bytes smem",
    "stack_bytes": r"(\d+) bytes stack frame",
    "spill_bytes": r"(\d+) bytes spill (?:stores|loads)",
}


def every_kernel() -> list[Declared]:
    """The kernels of the twins and of the ladder.

    Raises InputError where Numba simulates CUDA: there is nothing to compile then.
    """
    from numba import config

    from minigen.ops.cuda_kernels import KERNELS

    if config.ENABLE_CUDASIM:
        raise InputError("kernels are simulated, not compiled, where NUMBA_ENABLE_CUDASIM is set")
    for name in ops.__all__:
        room = getattr(ops, name).__module__.rpartition(".")[0]
        twin = f"{room}.cuda_{room.rpartition('.')[2]}"
        if find_spec(twin):
            import_module(twin)
    import_module("minigen.backends.ladder.cuda_rungs")
    return sorted(KERNELS, key=lambda kernel: kernel.name)


def to_ptx(kernel: Declared, architecture: int, real: str = "float32") -> str:
    """The PTX of a kernel whose real numbers are of the type `real`."""
    from numba import cuda

    capability = divmod(architecture, 10)
    # Numba asks the GPU here for what helpers of a kernel are compiled; there may be none.
    with patch(
        "numba.cuda.dispatcher.get_current_device", lambda: SimpleNamespace(compute_capability=capability)
    ):
        ptx, _ = cuda.compile_ptx(kernel.function, _signature(kernel, real), cc=capability)
    return ptx


def assemble(ptx: str, architecture: int) -> dict[str, int]:
    """What `ptxas -v` says of a kernel: registers, and bytes of shared memory, stack and spills.

    Raises InputError where ptxas is missing or refuses the kernel.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx, encoding="utf-8")
        command = [str(ptxas()), "-v", f"-arch=sm_{architecture}", str(source), "-o", f"{source}.cubin"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"ptxas refuses a kernel: {done.stderr}")
    return {name: sum(map(int, re.findall(pattern, done.stderr))) for name, pattern in _FIGURES.items()}


def rows() -> Iterator[dict[str, Any]]:
    """A row for every kernel, type of real numbers, and architecture."""
    for kernel in every_kernel():
        for real in REALS:
            for architecture in ARCHITECTURES:
                row = {"kernel": kernel.name, "arch": f"sm_{architecture}", "dtype": real}
                yield row | assemble(to_ptx(kernel, architecture, real), architecture)


def ptxas() -> Path:
    """The assembler of the wheel.  Raises InputError where it is not installed."""
    try:
        for file in files("nvidia-cuda-nvcc") or ():
            if file.stem == "ptxas":
                return Path(str(file.locate()))
    except PackageNotFoundError:
        pass
    raise InputError(f"compiling for a GPU needs its assembler: {_INSTALL}")


def _signature(kernel: Declared, real: str) -> tuple[Any, ...]:
    from numba import types

    number = getattr(types, real)
    known = {
        "vector": number[::1],
        "matrix": number[:, ::1],
        "matrices": number[:, :, ::1],
        "number": number,
        "ints": types.int32[::1],
        "places": types.int64[:, ::1],
        "bools": types.boolean[::1],
        "float64s": types.float64[::1],
        "int": types.int64,
    }
    return tuple(known[word] for word in kernel.types.split())


def settings() -> dict[str, Any]:
    """What is compiled for, and by what."""
    said = subprocess.run([str(ptxas()), "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "architectures": [f"sm_{architecture}" for architecture in ARCHITECTURES],
        "dtypes": list(REALS),
        "ptxas": said.split("release ")[-1].split(",")[0],
        "numba_cuda": version("numba-cuda"),
    }
