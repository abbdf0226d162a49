"""Optimisers over a model's named arrays: plain SGD with momentum, and Adam."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from minigen.backends import NUMPY, Backend
from minigen.ops.product import Product
from minigen.ops.sparse import Lines
from minigen.typing import Array, Params

_ROWS = 2**14  # rows that catch up at a time


class Optimizer(Protocol):
    """Moves parameters against their gradients, in place, and can be saved and restored."""

    lr: float

    def step(self, params: Params, grads: Params) -> None:
        """Move every array of `params` against the gradient of the same name.

        Raises FloatingPointError for a gradient that is not finite, before anything moves.
        """

    def arrays(self) -> Params:
        """What the optimiser remembers, by name."""

    def restore(self, arrays: Params) -> None:
        """Go on from `arrays()` of an earlier run."""


def _want_finite(params: Params, grads: Params) -> None:
    """Raise FloatingPointError before anything moves: one such number would spoil every weight."""
    for name in params:
        if not _finite(grads[name]):
            raise FloatingPointError(f"the gradient of {name} became nan or infinite")


def _finite(grad: Any) -> bool:
    if isinstance(grad, Product):
        return grad.surely_finite() or bool(np.isfinite(grad.whole()).all())
    values = grad.values if isinstance(grad, Lines) else grad
    if not isinstance(values, np.ndarray):
        return True  # a device has no time to be asked
    # The sum of squares is one fast walk; only where it is none, or too large, is there more to ask.
    return bool(np.isfinite(np.vdot(values, values)) or np.isfinite(values).all())


class SGD:
    """Stochastic gradient descent: u = momentum u + d_w;  w -= lr u.   [eq:sgd]

    Raises ValueError unless lr > 0 and 0 <= momentum < 1.  Sutskever et al. 2013, section 2.
    """

    def __init__(self, lr: float, momentum: float = 0.0) -> None:
        if not (lr > 0 and 0 <= momentum < 1):
            raise ValueError(f"want lr > 0 and 0 <= momentum < 1, got {lr} and {momentum}")
        self.lr, self.momentum = lr, momentum
        self._velocity: Params = {}

    def step(self, params: Params, grads: Params) -> None:
        """Move every array of `params` in place; gradients are left as they are."""
        _want_finite(params, grads)
        for name, w in params.items():
            move = grads[name]
            if self.momentum:
                velocity = self._velocity.setdefault(name, np.zeros_like(w))
                velocity *= self.momentum
                velocity += move
                move = velocity
            w -= self.lr * move

    def arrays(self) -> Params:
        """The velocities, by parameter."""
        return {f"velocity.{name}": u for name, u in self._velocity.items()}

    def restore(self, arrays: Params) -> None:
        """Go on from `arrays()` of an earlier run."""
        self._velocity = {name.removeprefix("velocity."): u for name, u in arrays.items()}


class Adam:
    """Adam over named arrays of a backend, see `minigen.ops.adam_step`.

    Raises ValueError unless lr > 0.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        ops: Backend = NUMPY,
    ) -> None:
        if not lr > 0:
            raise ValueError(f"lr: want a number above 0, got {lr}")
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self._ops = ops
        self._states: dict[str, Any] = {}
        self._last: dict[str, Array] = {}  # step up to which each row has come, where rows move by themselves

    def step(self, params: Params, grads: Params) -> None:
        """Move every array of `params` in place; gradients are left as they are.

        Where a gradient is `Lines`, only these move: columns of an array whose transpose is C-contiguous.
        The others are behind from then on, see `catch_up`.  A `Product` goes to the twin that made it.
        """
        _want_finite(params, grads)
        numbers = self.lr, self.beta1, self.beta2, self.eps
        for name, w in params.items():
            grad: Any = grads[name]
            if isinstance(grad, Lines):
                by_row, values = (w.T, grad.values.T) if grad.axis else (w, grad.values)
                state, last = self.state(name, by_row), self._last_of(name, by_row)
                self._ops.adam_rows_step(by_row, grad.where, values, state, *numbers)
                last[grad.where] = state.t
            else:
                self._ops.adam_step(w, grad, self.state(name, w), *numbers)

    def catch_up(self, name: str, w: Array, where: Array | None = None, axis: int = 0) -> None:
        """Make up for the steps that the lines `where` of w (all, if not given) were left alone in.

        They are then as if they had been in every step, with gradient 0: do it before they are read.
        """
        by_row = w.T if axis else w
        state, last = self.state(name, by_row), self._last_of(name, by_row)
        numbers = self.lr, self.beta1, self.beta2, self.eps
        all_rows = range(0, len(by_row), _ROWS)
        parts = (np.arange(n, min(n + _ROWS, len(by_row))) for n in all_rows) if where is None else [where]
        for rows in parts:
            self._ops.adam_rows_catch_up(by_row, rows, state.t - last[rows], state, *numbers)
            last[rows] = state.t

    def _last_of(self, name: str, by_row: Array) -> Array:
        if name not in self._last:
            self._last[name] = np.zeros(len(by_row), np.int32)
        return self._last[name]

    def state(self, name: str, w: Array) -> Any:
        """What it remembers of the array w called `name`."""
        if name not in self._states:
            self._states[name] = self._ops.AdamState.zeros_like(w)
        return self._states[name]

    def arrays(self) -> Params:
        """Both moments and the number of steps, by parameter; of rows, how far each has come."""
        arrays: Params = {f"last.{name}": last for name, last in self._last.items()}
        for name, state in self._states.items():
            arrays |= self._ops.get({f"m.{name}": state.m, f"v.{name}": state.v})
            arrays[f"t.{name}"] = np.array([state.t], dtype=np.float64)
        return arrays

    def restore(self, arrays: Params) -> None:
        """Go on from `arrays()` of an earlier run."""
        names = [key.removeprefix("m.") for key in arrays if key.startswith("m.")]
        self._last = {key.removeprefix("last."): a for key, a in arrays.items() if key.startswith("last.")}
        put, state = self._ops.put, self._ops.AdamState
        self._states = {
            name: state(put(arrays[f"m.{name}"]), put(arrays[f"v.{name}"]), int(arrays[f"t.{name}"][0]))
            for name in names
        }


def make_optimizer(name: str, lr: float, momentum: float = 0.0, ops: Backend = NUMPY) -> Optimizer:
    """The optimiser called `name`, "sgd" or "adam", over arrays of a backend.

    Raises ValueError for another name, or a momentum that Adam would ignore.
    """
    if name == "sgd":
        return SGD(lr, momentum)
    if name == "adam":
        if momentum:
            raise ValueError(f"momentum: want 0 with adam, whose beta1 it is, got {momentum}")
        return Adam(lr, ops=ops)
    raise ValueError(f"optimizer: want sgd or adam, got {name}")
