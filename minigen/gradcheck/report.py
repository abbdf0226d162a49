"""The findings as rows: what `minigen gradcheck` prints, and writes for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigen.gradcheck.catalogue import Quantity
from minigen.gradcheck.check import check_backward
from minigen.gradcheck.differences import GradientError
from minigen.gradcheck.mutants import Verdict, failures

Row = dict[str, Any]


def gradient_rows(quantity: Quantity) -> Iterator[Row]:
    """One row for each parameter of a quantity; a gradient that cannot be compared has rel_error None."""
    if quantity.draw is None:
        return
    for parameter in quantity.wrt:
        row: Row = {"name": quantity.name, "parameter": parameter}
        try:
            with np.errstate(all="raise", under="ignore"):
                (report,) = check_backward(
                    quantity.forward,
                    quantity.backward,
                    quantity.sample(),
                    names=quantity.names,
                    wrt=[parameter],
                    kinks=quantity.kinks,
                )
        except (GradientError, ArithmeticError) as error:
            yield row | {"rel_error": None, "ok": False, "message": str(error)}
            continue
        yield row | {
            "rel_error": report.rel_error if np.isfinite(report.rel_error) else None,
            "ok": report.ok,
            "index": list(report.index),
            "analytic": report.analytic,
            "numeric": report.numeric,
            "complex_step": report.complex_step,
            "message": "" if report.ok else report.message,
        }


def other_checks(quantity: Quantity) -> Row:
    """Contract and meaning of a quantity: check -> "" where it passed, else what it said."""
    failed = failures(quantity)
    return {name: failed.get(name, "") for name, _ in quantity.checks() if name != "derivative"}


def mutant_row(verdict: Verdict) -> Row:
    """A planted slip: whether the check that must catch it did, which checks did, and what that one said."""
    mutant = verdict.mutant
    return {
        "mutant": mutant.name,
        "what": mutant.what,
        "killed": verdict.killed,
        "by": ", ".join(verdict.by),
        "message": verdict.message,
    }
