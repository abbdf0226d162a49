"""How a slip is written down: a wrong pass, the quantity it belongs to, and the check that must catch it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from minigen.gradcheck.catalogue import Quantity

Pass = TypeVar("Pass", bound=Callable[..., Any])


class Mutant(NamedTuple):
    """A slip of one quantity: `plant` gives the quantity with the slip in it, and changes nothing else."""

    name: str
    what: str
    quantity: str
    caught_by: str
    plant: Callable[[Quantity], Quantity]


MUTANTS: list[Mutant] = []


def wrong_backward(
    quantity: str, caught_by: str = "derivative", forward: Callable[..., Any] | None = None
) -> Callable[[Pass], Pass]:
    """Register a backward pass as a slip of `quantity`, with a forward pass of its own where it needs one.

    With the right derivative of a wrong `forward`, only a check of meaning can catch it.
    """

    def plant(slip: Callable[..., Any], right: Quantity) -> Quantity:
        return right._replace(backward=slip, forward=forward or right.forward)

    return _registrar(quantity, caught_by, plant)


def wrong_forward(quantity: str, caught_by: str) -> Callable[[Pass], Pass]:
    """Register a forward pass as a slip of `quantity`; the backward pass stays."""
    return _registrar(quantity, caught_by, lambda slip, right: right._replace(forward=slip))


def wrong_cache(quantity: str, caught_by: str = "derivative") -> Callable[[Pass], Pass]:
    """Register a slip of a whole model by what its backward pass finds in the cache."""

    def plant(slip: Callable[..., Any], right: Quantity) -> Quantity:
        return right._replace(backward=lambda d_loss, cache: right.backward(d_loss, slip(cache)))

    return _registrar(quantity, caught_by, plant)


def wrong_result(quantity: str, caught_by: str) -> Callable[[Pass], Pass]:
    """Register a slip of a whole model by what it does to the loss and the cache that came out."""

    def plant(slip: Callable[..., Any], right: Quantity) -> Quantity:
        return right._replace(forward=lambda *args: slip(*right.forward(*args)))

    return _registrar(quantity, caught_by, plant)


def wrong_quantity(quantity: str, caught_by: str = "derivative") -> Callable[[Pass], Pass]:
    """Register a slip by what it makes of the right quantity, whatever is in its cache."""
    return _registrar(quantity, caught_by, lambda slip, right: slip(right))


def _registrar(
    quantity: str, caught_by: str, plant: Callable[[Callable[..., Any], Quantity], Quantity]
) -> Callable[[Pass], Pass]:
    def register(slip: Pass) -> Pass:
        name = f"{quantity}-{slip.__name__}".replace("_", "-")
        what = (slip.__doc__ or "").rstrip(".")
        MUTANTS.append(Mutant(name, what, quantity, caught_by, lambda right: plant(slip, right)))
        return slip

    return register
