"""The checker checked: plant each slip in place of the right pass, and see which checks scream.

Nothing is patched: a mutant is a quantity of the catalogue with one pass, or both, exchanged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from minigen.gradcheck.catalogue import Quantity, catalogue
from minigen.gradcheck.differences import GradientError
from minigen.gradcheck.slips import MUTANTS, Mutant

Failures = dict[str, str]  # check -> its message


class Verdict(NamedTuple):
    """What became of a mutant: the checks that failed, and what each said."""

    mutant: Mutant
    failures: Failures

    @property
    def killed(self) -> bool:
        """Whether the check that must catch this slip did."""
        return self.mutant.caught_by in self.failures

    @property
    def by(self) -> list[str]:
        """The checks that failed, the one that had to first."""
        return sorted(self.failures, key=lambda check: check != self.mutant.caught_by)

    @property
    def message(self) -> str:
        """The first line of what the expected check said."""
        return self.failures.get(self.mutant.caught_by, "survived").splitlines()[0]


def failures(quantity: Quantity) -> Failures:
    """Run every check of a quantity and collect what fails: {} for a right one."""
    found: Failures = {}
    for name, check in quantity.checks():
        try:
            with np.errstate(all="raise", under="ignore"):
                check()
        except (GradientError, ArithmeticError) as error:  # an overflow is a verdict too
            found[name] = str(error)
    return found


def run_mutants(quantities: Collection[str] | None = None) -> Iterator[Verdict]:
    """Plant each mutant of the named quantities, by default of all, and judge it."""
    right = catalogue()
    for mutant in MUTANTS:
        if quantities is None or mutant.quantity in quantities:
            yield Verdict(mutant, failures(mutant.plant(right[mutant.quantity])))
