"""What one batch does on its way through a model: every operation, its equation, arrays and time."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from minigen import backends
from minigen.optimizers import SGD, Adam

_EQUATION = re.compile(r"\[eq:([a-z0-9-]+)\]")
_FORWARD = re.compile(r"(.+_)?(forward|encode|decode)")


class Seen(NamedTuple):
    """An array as it was when an operation returned it; low and high are None where it is empty."""

    name: str
    shape: tuple[int, ...]
    low: float | None
    high: float | None
    bytes: int


@dataclass
class Call:
    """A call of a function whose docstring names an equation: how deep it lies, what it returned, its ms."""

    name: str
    equation: str
    depth: int
    arrays: list[Seen] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    ms: float = 0.0


@contextmanager
def tracing() -> Iterator[list[Call]]:
    """Collect the calls made inside the block, in the order in which they began.

    Nothing in the library is changed or wrapped: Python itself reports calls and returns.  The time that it
    takes to look at what is returned is no operation's.
    """
    known = _functions_with_equations()
    calls: list[Call] = []
    open_calls: list[tuple[Call, float]] = []
    looking = 0.0  # seconds spent here, up to now

    def watch(frame: FrameType, event: str, value: Any) -> None:
        nonlocal looking
        if frame.f_code not in known or event not in ("call", "return"):
            return
        now = time.perf_counter()
        if event == "call":
            name, equation = known[frame.f_code]
            calls.append(Call(name, equation, len(open_calls)))
            open_calls.append((calls[-1], now - looking))
        else:
            call, began = open_calls.pop()
            call.ms = 1e3 * (now - looking - began)
            if _FORWARD.fullmatch(call.name) and isinstance(value, tuple):
                value = value[:-1]  # the last is what the way back needs
            _collect(call, "", value)
            looking += time.perf_counter() - now

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@contextmanager
def faults_raised() -> Iterator[None]:
    """Raise FloatingPointError at the first operation of a training step that makes nan or infinity.

    The weights are watched as well: what an optimiser's step makes of them is its own.
    """
    known = _functions_with_equations(twins=True)
    moving = {optimizer.step.__code__ for optimizer in (Adam, SGD)}
    steps = 0

    def watch(frame: FrameType, event: str, value: Any) -> None:
        nonlocal steps
        code = frame.f_code
        if event not in ("call", "return"):
            return
        if code.co_name == "train_step":
            steps += 1 if event == "call" else -1
        elif steps and event == "return":
            seen = Call(*known.get(code, ("", "")), 0)
            if code in moving:
                seen = Call("the optimiser's step", "", 0)
                _collect(seen, "", frame.f_locals["params"])
            elif code in known:
                _collect(seen, "", value)
            _want_finite(seen)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)


def _want_finite(call: Call) -> None:
    of = call.name + (f" [eq:{call.equation}]" if call.equation else "")
    for array in call.arrays:
        if not np.isfinite((array.low or 0.0) + (array.high or 0.0)):
            of_array = f"in {array.name or 'an array'} of shape {array.shape}"
            raise FloatingPointError(f"{of} made {array.low} to {array.high} {of_array}")
    for number in call.numbers:
        if not np.isfinite(number):
            raise FloatingPointError(f"{of} made {number}")


def _collect(call: Call, name: str, value: Any) -> None:
    """Note the arrays and numbers of a returned value: a later operation may write over them."""
    if isinstance(value, np.ndarray):
        low, high = (float(value.min()), float(value.max())) if value.size else (None, None)
        call.arrays.append(Seen(name, value.shape, low, high, value.nbytes))
    elif hasattr(value, "indptr"):  # sparse rows: their non-zeros
        _collect(call, f"{name} non-zeros".strip(), value.data)
    elif isinstance(value, int | float | np.number):
        call.numbers.append(float(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, np.ndarray):
                _collect(call, str(key), item)
    elif isinstance(value, tuple):
        for item in value:
            _collect(call, name, item)


def _functions_with_equations(twins: bool = False) -> dict[CodeType, tuple[str, str]]:
    """What tells an operation from a helper; `twins` have the equation of the operation of their name."""
    known = {}
    for module in [module for name, module in sys.modules.items() if name.startswith("minigen.")]:
        for thing in list(vars(module).values()):
            members = list(vars(thing).values()) if isinstance(thing, type) else [thing]
            for function in members:
                found = _EQUATION.search(getattr(function, "__doc__", None) or "")
                if found and isinstance(getattr(function, "__code__", None), CodeType):
                    known[function.__code__] = function.__name__, found.group(1)
    if twins:
        equations = dict(known.values())
        for rung in map(backends.load, backends.BACKENDS[:2] if "numba" in sys.modules else ()):
            for name, served in rung.rungs.items():
                if served == "numba" and name in equations:
                    known[getattr(rung, name).__code__] = name, equations[name]
    return known
