"""Functions of numbers, made into operations on whole arrays: a thread an entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import cuda

from minigen.ops.cuda_arrays import empty
from minigen.ops.cuda_kernels import kernel, spread
from minigen.typing import Array


def of_one(function: Callable[..., Any]) -> Callable[[Array], Array]:
    """y = f(x), entry by entry; `function` takes a number of x and the type of its constants."""
    value = cuda.jit(device=True)(function)

    @kernel("vector vector", name=_name(function))
    def entries(x: Array, y: Array) -> None:
        for j in range(cuda.grid(1), y.size, cuda.gridsize(1)):
            y[j] = value(x[j], y.dtype.type)

    def apply(x: Array) -> Array:
        y = empty(x.shape, x.dtype)
        entries[spread(y.size)](x.ravel(), y.ravel())
        return y

    return apply


def of_two(function: Callable[..., Any]) -> Callable[[Array, Array], Array]:
    """z = f(x, y), entry by entry; `function` takes a number of each and the type of its constants."""
    value = cuda.jit(device=True)(function)

    @kernel("vector vector vector", name=_name(function))
    def entries(x: Array, y: Array, z: Array) -> None:
        for j in range(cuda.grid(1), z.size, cuda.gridsize(1)):
            z[j] = value(x[j], y[j], z.dtype.type)

    def apply(x: Array, y: Array) -> Array:
        z = empty(x.shape, x.dtype)
        entries[spread(z.size)](x.ravel(), y.ravel(), z.ravel())
        return z

    return apply


def _name(function: Callable[..., Any]) -> str:
    module = function.__module__.rpartition(".")[2].removeprefix("cuda_")
    return f"{module}.{function.__name__.strip('_')}"
