"""Is what the reader wrote the operation that it should be?  And if not, which classic slip is it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigen.gradcheck import GradientError, check_gradient
from minigen.typing import Array, Params


def same_as(quantity: str, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
    """Hold both passes to every check that the library's own operation `quantity` must pass.

    Raises GradientError with the first that fails, and the slip of the catalogue that computes the same.
    """
    from minigen.gradcheck.catalogue import catalogue
    from minigen.gradcheck.check import argument_names
    from minigen.gradcheck.recognise import recognise

    right = catalogue()[quantity]
    names = right.names or argument_names(right.forward, len(right.sample()))
    yours = right._replace(forward=forward, backward=backward, names=tuple(names))
    for _, passes in yours.checks():
        try:
            passes()
        except (GradientError, ArithmeticError) as error:
            words = recognise(yours)
            raise GradientError(f"{error}" + (f"; a known slip: {words}" if words else "")) from error


def same_gradients(
    loss_fn: Callable[[Params], float], grads: Mapping[str, Array], params: Params, batch: int | None = None
) -> None:
    """Hold gradients to differences of the loss; raises GradientError with the worst of the parameters."""
    if not isinstance(grads, Mapping):
        raise GradientError(f"want gradients by name, {', '.join(params)}, got {type(grads).__name__}")
    reports = check_gradient(loss_fn, grads, params, batch=batch)
    wrong = [report for report in reports if not report.ok]
    if wrong:
        worst = max(wrong, key=lambda report: np.nan_to_num(report.rel_error, nan=np.inf))
        others = f" ({len(wrong)} of {len(reports)} arrays are wrong)" if len(reports) > 1 else ""
        raise GradientError(worst.message + others)
