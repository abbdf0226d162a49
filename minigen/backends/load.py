"""Twins found by convention: `dense/numba_dense.py` serves the operations of the room `dense`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, TypeVar

from minigen import ops as numpy_ops
from minigen.errors import InputError

BACKENDS = ("numpy", "numba", "cuda")
_INSTALL = {"numba": "pip install numba", "cuda": "pip install 'minigen[cuda]'"}

T = TypeVar("T")


class Backend:
    """Every operation of `minigen.ops` as an attribute, and the way of arrays to them and back.

    name; rungs: operation -> the backend whose twin serves it; put: an array, CSR matrix or dict of arrays
    from the host to where the operations work; get: the same back to the host.  Nothing can be changed.
    """

    name: str
    rungs: Mapping[str, str]
    put: Callable[[Any], Any]
    get: Callable[[Any], Any]

    def __init__(self, name: str, operations: Mapping[str, Any], put: Callable, get: Callable) -> None:
        served = {op: _rung(twin) for op, twin in operations.items() if not isinstance(twin, _Missing)}
        vars(self).update(operations, name=name, rungs=MappingProxyType(served), put=put, get=get)

    def __getattr__(self, name: str) -> Any:  # only names that are not there come here
        raise AttributeError(f"there is no operation {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a backend cannot be changed")

    def __repr__(self) -> str:
        return f"<backend {self.name}>"


class _Missing:
    """In the place of an operation that a device lacks: host code would not find its arrays."""

    def __init__(self, operation: str, backend: str) -> None:
        self._message = f"the {backend} backend has no {operation}"

    def __call__(self, *_: Any, **__: Any) -> None:
        raise InputError(self._message)

    def __getattr__(self, name: str) -> Any:
        raise InputError(self._message)


def load(name: str = "numpy") -> Backend:
    """The backend called `name`; the same object each time.

    With the first "numba", Numba gets as many threads as BLAS has, in kernels that this thread calls.
    An operation without a Numba twin is served by NumPy, which `rungs` tells; one without a CUDA twin raises
    InputError when it is used.
    Raises ValueError for an unknown name, InputError where Numba or a device is missing.
    """
    if name not in BACKENDS:
        raise ValueError(f"backend: want {', '.join(BACKENDS)}, got {name}")
    return _load(name)


@cache
def _load(name: str) -> Backend:
    put: Callable[[Any], Any] = _as_it_is
    get: Callable[[Any], Any] = _as_it_is
    if name == "numba":
        _want_module("numba", name)
        from minigen.backends.threads import settle

        settle()
    if name == "cuda":
        _want_device()
        arrays = import_module("minigen.ops.cuda_arrays")
        put, get = arrays.put, arrays.get
    return Backend(name, {op: _twin(op, name) for op in numpy_ops.__all__}, put, get)


def usable(name: str) -> str:
    """`name`, or "numpy", with a warning, where this machine lacks what the backend needs."""
    try:
        return load(name).name
    except InputError as error:
        warnings.warn(f"{error}; going on with numpy", stacklevel=3)
        return "numpy"


def _as_it_is(value: T) -> T:
    return value


def _twin(operation: str, backend: str) -> Any:
    reference = getattr(numpy_ops, operation)
    if backend == "numpy":
        return reference
    room = reference.__module__.rpartition(".")[0]
    module = f"{room}.{backend}_{room.rpartition('.')[2]}"
    missing = _Missing(operation, backend) if backend == "cuda" else reference
    return getattr(import_module(module), operation, missing) if find_spec(module) else missing


def _rung(operation: Any) -> str:
    return operation.__module__.rpartition(".")[2].partition("_")[0]


def _want_module(module: str, backend: str) -> None:
    try:
        import_module(module)
    except ImportError:
        raise InputError(f"the {backend} backend needs {module}: {_INSTALL[backend]}") from None


def _want_device() -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the CUDA part of Numba itself announces its successor
            available = import_module("numba.cuda").is_available()
    except ImportError:
        available = False
    if not available:
        raise InputError(
            f"the cuda backend needs an NVIDIA GPU with its driver and {_INSTALL['cuda']}; "
            "NUMBA_ENABLE_CUDASIM=1 simulates one, slowly"
        )


NUMPY = load()
