"""What the Numba twins share: how kernels are compiled, and an exponential that vectorises.

Of machine code that it kept, Numba asks only whether the kernel's own file has changed, not the files of what
it calls and takes constants from.  Hence it is kept by a name that ends in a digest of all of `minigen.ops`.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, prange, types
from numba.extending import overload

from minigen.typing import Array

__all__ = ["LOWEST", "exp_below", "fast", "floats", "inside", "parallel", "prange", "row_max"]

# Sums may be reordered and products fused into them; NaN and infinity keep their meaning.
_FLAGS = {"reassoc", "contract", "nsz"}
_LOCK = threading.Lock()  # not every threading layer of Numba survives two parallel kernels at a time


def _digest(ops: Path) -> str:
    """All that kernels call, and take constants from: `tests/test_numba_maths.py` sees that it is all."""
    files = (path for path in sorted(ops.rglob("*.py")) if not path.name.startswith("cuda_"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


_SOURCES = _digest(Path(__file__).parent)


@cache
def _sweep(folder: str, module: str) -> None:
    """Delete the machine code of kernels of other sources: nobody will ask for it again."""
    for path in Path(folder).glob(f"{module}.*.nb[ic]"):
        if _SOURCES not in path.name:
            with suppress(OSError):  # another process was first, or has it open
                path.unlink()


def _compiled(**options: bool) -> Callable[[Callable[..., Any]], Any]:
    compiler = njit(fastmath=_FLAGS, error_model="numpy", nogil=True, cache=True, **options)

    def compiled(kernel: Callable[..., Any]) -> Any:
        kernel.__qualname__ += f"_{_SOURCES}"
        function = compiler(kernel)
        if function is not kernel:  # as it is where NUMBA_DISABLE_JIT is set
            _sweep(function.stats.cache_path, kernel.__module__.rpartition(".")[2])
        return function

    return compiled


fast = _compiled()
# A callee with a sum stands inside its caller: apart, the process that compiles it calls another copy than
# one that finds it in the cache, and the two add in another order.
inside = _compiled(forceinline=True)
_shared_out = _compiled(parallel=True)


def parallel(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a kernel whose `prange` index owns what it writes; one runs at a time."""
    compiled = _shared_out(kernel)

    @wraps(kernel)
    def alone(*args: Any) -> Any:
        with _LOCK:
            return compiled(*args)

    return alone


def floats(*arrays: Any) -> bool:
    """Whether all the arrays are float32, or all are float64: what the kernels are written for."""
    kinds = {array.dtype for array in arrays}
    return kinds in ({np.dtype(np.float32)}, {np.dtype(np.float64)})


f32 = np.float32  # a plain 1 is a float64, and would take the sum beside it along
LOWEST = f32(-87)  # exp of less is no normal float32
_MAGNITUDE = np.int32(0x7FFFFFFF)  # all bits but the sign
_HALF, _ONE, _ZERO = f32(0.5), f32(1), f32(0)
_LOG2_E, _LN2_HIGH, _LN2_LOW = f32(1.4426950408889634), f32(0.693359375), f32(-2.12194440e-4)
_C2, _C3, _C4, _C5, _C6, _C7 = (f32(1 / math.factorial(n)) for n in range(2, 8))


def exp_below(x: Any) -> Any:
    """exp(x) for x <= 0; float32 to 3e-7 relative, by a polynomial, and 0 below -87; NaN stays NaN."""
    return np.exp(x)


@overload(exp_below, jit_options={"fastmath": _FLAGS})
def _exp_below(x: Any) -> Any:
    return _exp_float32 if x == types.float32 else _exp_float64


def _exp_float32(x: Any) -> Any:  # 2^n e^r for the integer n nearest to x / log 2, and a short series for e^r
    n = np.int32(max(x, LOWEST) * _LOG2_E - _HALF)
    r = x - f32(n) * _LN2_HIGH - f32(n) * _LN2_LOW
    y = _ONE + r * (_ONE + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * (_C6 + r * _C7))))))
    return _ZERO if x < LOWEST else y * np.int32((n + 127) << 23).view(np.float32)


def _exp_float64(x: Any) -> Any:
    return math.exp(x)


def row_max(row: Array) -> Any:
    """The largest entry of a contiguous row that is not empty; beside NaN, NaN or any of the entries."""
    return row.max()


@overload(row_max)
def _row_max(row: Any) -> Any:
    return _max_float32 if row.dtype == types.float32 else _max_float64


def _max_float32(row: Any) -> Any:  # as integers of the same order, which vectorise as floats do not
    bits = row.view(np.int32)
    top = np.int32(-(2**31))
    for j in range(bits.size):
        top = np.int32(max(top, np.int32(bits[j] ^ np.int32(np.int32(bits[j] >> 31) & _MAGNITUDE))))
    return np.int32(top ^ np.int32(np.int32(top >> 31) & _MAGNITUDE)).view(np.float32)


def _max_float64(row: Any) -> Any:
    top = row[0]
    for j in range(row.size):
        top = max(top, row[j])
    return top
