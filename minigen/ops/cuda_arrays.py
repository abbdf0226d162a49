"""Arrays on the device: how they get there and back, CSR rows, and a loss that waits to be read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

from minigen.ops.checks import want_canonical
from minigen.ops.cuda_kernels import THREADS, add_up, kernel, spread
from minigen.typing import Array


class CSR:
    """CSR rows on the device: data (nnz,), indices (nnz,), indptr (B + 1,), and the shape (B, M).

    Every column at most once in a row, in order: `put` takes no others.
    """

    has_canonical_format = True

    def __init__(self, parts: tuple[Array, Array, Array], shape: tuple[int, int], copy: bool = False) -> None:
        if copy:
            raise ValueError("copy: want False, the arrays are shared")
        self.data, self.indices, self.indptr = parts
        self.shape = shape

    @property
    def nnz(self) -> int:
        """The number of non-zeros."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype:
        """The type of the data."""
        return self.data.dtype


class Scalar:
    """A number on the device, that float() reads: the first time from there, waiting for the kernels."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self._value: float | None = None

    def __float__(self) -> float:
        if self._value is None:
            self._value = float(self._array.copy_to_host()[0])
        return self._value


def put(value: Any) -> Any:
    """An array, CSR matrix or dict of them, copied to the device; what is there already stays as it is.

    Raises ValueError where a CSR matrix names a column twice in a row.
    """
    if isinstance(value, dict):
        return {name: put(part) for name, part in value.items()}
    if isinstance(value, CSR) or hasattr(value, "copy_to_host"):
        return value
    if hasattr(value, "indptr"):
        want_canonical("x", value)
        pattern = (part.astype(np.int32, copy=False) for part in (value.indices, value.indptr))
        return CSR((put(value.data), *map(put, pattern)), shape=value.shape)
    return cuda.to_device(np.ascontiguousarray(value))


def get(value: Any) -> Any:
    """What `put` brought to the device, copied back; what is on the host already stays as it is."""
    if isinstance(value, dict):
        return {name: get(part) for name, part in value.items()}
    if isinstance(value, CSR):
        from scipy.sparse import csr_matrix

        parts = (get(value.data), get(value.indices), get(value.indptr))
        return csr_matrix(parts, shape=value.shape, copy=False)
    return value.copy_to_host() if hasattr(value, "copy_to_host") else value


def empty(shape: int | tuple[int, ...], dtype: Any) -> Array:
    """An array on the device; its content is undefined."""
    return cuda.device_array(shape, dtype)


def zeros(shape: int | tuple[int, ...], dtype: Any) -> Array:
    """An array of zeros on the device."""
    array = empty(shape, dtype)
    clear(array)
    return array


def clear(array: Array) -> None:
    """Fill an array on the device with zeros."""
    _clear[spread(array.size)](array.ravel())


def mean(values: Array) -> Scalar:
    """The mean of values (B,), added up in float64."""
    total = empty(1, np.float64)
    _mean[1, THREADS](values, total)
    return Scalar(total)


@kernel("vector")
def _clear(x: Array) -> None:  # x[:] = 0
    for j in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        x[j] = 0


@kernel("vector float64s")
def _mean(values: Array, result: Array) -> None:  # result[0] = values.mean(dtype=np.float64)
    slots = cuda.shared.array(THREADS, np.float64)
    t = cuda.threadIdx.x
    total = 0.0
    for u in range(t, values.size, THREADS):
        total += values[u]
    slots[t] = total
    cuda.syncthreads()
    if t == 0:
        result[0] = add_up(slots) / values.size
