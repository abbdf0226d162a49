"""Whose mistake is it?  A wrong pair of passes held against the planted slips, by what it computes."""

from __future__ import annotations

import numpy as np

from minigen.gradcheck.catalogue import Quantity, catalogue
from minigen.gradcheck.check import as_tuple, random_cotangent
from minigen.gradcheck.differences import values
from minigen.gradcheck.mutants import failures
from minigen.gradcheck.slips import MUTANTS
from minigen.typing import Array

_CLOSE = 1e-9


def recognise(quantity: Quantity) -> str:
    """The classic slips that compute what is wrong in these passes, in their words; "" where none does.

    Where y, or else a gradient, is wrong at the sample, a slip must give the same wrong numbers; where all
    are right there (an overflow shows only far out), it must fail the same checks.
    """
    right = catalogue()[quantity.name]
    slips = [mutant for mutant in MUTANTS if mutant.quantity == quantity.name]
    found, wanted = _results(quantity, right), _results(right, right)
    wrong = [n for n, (got, want) in enumerate(zip(found, wanted)) if not _same(got, want)]
    if wrong:
        decisive = wrong[:1] if wrong[0] == 0 else wrong
        planted = {slip.what: _results(slip.plant(right), right) for slip in slips}
        fitting = [
            what
            for what, results in planted.items()
            if any(n < len(results) and _same(results[n], found[n]) for n in decisive)
        ]
    else:
        failed = failures(quantity).keys()
        fitting = [slip.what for slip in slips if found and failures(slip.plant(right)).keys() == failed]
    return "; ".join(fitting)


def _results(quantity: Quantity, right: Quantity) -> list[Array]:
    """y and the gradients at the sample of the right operation; nothing where they cannot be computed."""
    try:
        args = right.sample()
        y, cache = quantity.forward(*args)
        d_y = random_cotangent(right.forward(*right.sample())[0], np.random.default_rng(0))
        return [values(a) for a in (y, *as_tuple(quantity.backward(d_y, cache))) if a is not None]
    except Exception:  # whatever a reader's code may raise
        return []


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and np.allclose(one, other, _CLOSE, _CLOSE)
