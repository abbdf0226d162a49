"""How a slip comes into training: through the very `plant` of the mutant that the checks are run against."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from minigen.gradcheck.catalogue import Quantity, catalogue
from minigen.gradcheck.slips import Mutant
from minigen.typing import Array, Params


def loss_and_gradients(
    slip: Mutant | None,
    name: str,
    params: Params,
    forward: Callable[[Params], tuple[float, Any]],
    backward: Callable[[float, Any], Params],
    d_loss: float = 1.0,
) -> tuple[float, Params]:
    """The loss of a batch and its gradients by name, with the slip in them where it is one of `name`.

    A training step is the quantity of the catalogue at another point: its own parameters, the batch in hand.
    """

    def of_arrays(*arrays: Array) -> tuple[float, Any]:
        return forward(dict(zip(params, arrays)))

    def pulled(d_loss: float, cache: Any) -> tuple[Array, ...]:
        grads = backward(d_loss, cache)
        return tuple(grads[key] for key in params)

    quantity = Quantity(name, of_arrays, pulled)
    if slip is not None and slip.quantity == name:
        quantity = slip.plant(quantity)
    loss, cache = quantity.forward(*params.values())
    return loss, dict(zip(params, quantity.backward(d_loss, cache)))


def exchanged(room: Any, slip: Mutant | None) -> Any:
    """The functions of `room` as a namespace, the operation of the slip exchanged if it is one of them."""
    table = dict(vars(room))
    if slip is not None:
        right = catalogue()[slip.quantity]
        wrong = slip.plant(right)
        passes: dict[Any, Any] = {right.forward: wrong.forward, right.backward: wrong.backward}
        for name, function in vars(room).items():
            if callable(function) and passes.get(function, function) is not function:
                table[name] = _like_the_right_one(passes[function])
    return SimpleNamespace(**table)


def second_copy(module: ModuleType, **names: Any) -> Any:
    """The module once more, in which `names` stand for something else; the first one is left as it is."""
    spec: Any = module.__spec__
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    vars(copy).update(names)
    return copy


def _like_the_right_one(slip: Callable[..., Any]) -> Callable[..., Any]:
    """What a slip knows nothing of, `out=` or the coefficients of Adam, is left away."""
    known = len(inspect.signature(slip).parameters)
    return lambda *args, **_: slip(*args[:known])
