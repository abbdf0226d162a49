"""Is a hand-written backward pass the derivative of its forward pass?  The whole array, in float64."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigen.gradcheck.differences import (
    REL_TOL,
    STEP,
    GradientError,
    complex_step,
    crosses_kink,
    five_point,
    is_csr,
    like,
    roundoff,
    steps,
    values,
)
from minigen.gradcheck.explain import explain
from minigen.ops.sparse import row_of_each
from minigen.typing import Array, Params

_REDRAWS = 100


@dataclass(frozen=True)
class GradientReport:
    """The gradient in one array: its worst entry there, and whether the whole array is right.

    rel_error is max|a - n| / max|a|; roundoff: what rounding can do to `numeric`; batch: B, for the message.
    """

    name: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    complex_step: float | None
    rel_error: float
    ok: bool
    roundoff: float = 0.0
    batch: int | None = None

    @property
    def ratio(self) -> float:
        """Analytic / numeric at the worst entry; infinite where numeric is nothing but roundoff."""
        if abs(self.numeric) > self.roundoff:
            return self.analytic / self.numeric + 0.0  # no -0
        return 1.0 if abs(self.analytic) <= self.roundoff else float("inf")

    @property
    def message(self) -> str:
        """One line: array, worst entry, both values, their ratio, and what the ratio suggests."""
        at = ", ".join(map(str, self.index))
        words = explain(self.ratio, self.batch)
        return (
            f"d_{self.name}[{at}]: analytic {self.analytic:.6g}, numeric {self.numeric:.6g}, "
            f"ratio {self.ratio:.4g}, rel_error {self.rel_error:.1e}" + (f": {words}" if words else "")
        )


def check_backward(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Any],
    args: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    kinks: Callable[..., Array] | None = None,
    cotangent: Any = None,
    seed: int = 0,
    step: float = STEP,
) -> list[GradientReport]:
    """Check backward(d_y, cache) against five-point differences of forward(*args) -> (y, cache).

    args: float64 arrays of any shape, CSR matrices (checked at their non-zeros), others are held still.
    names: of the arguments, by default those of `forward`; wrt: the names to check, by default each argument
    whose gradient is not None.  kinks(*args): values whose zeros are kinks; the point is drawn again where a
    step of 2h would cross one.  cotangent: d_y, by default random.  A report is ok where
    rel_error <= 1e-6 and every |a - n| <= 1e-6 |a| + 20 eps |L| / h.
    Raises GradientError where a gradient is missing or has the wrong shape.
    """
    rng = np.random.default_rng(seed)
    names = list(names) if names is not None else argument_names(forward, len(args))
    args = [_widen(a) for a in args]
    if kinks is not None:
        args = _redraw(args, kinks, rng, step)
    y, cache = forward(*args)
    d_y = random_cotangent(y, rng) if cotangent is None else cotangent
    grads = dict(zip(names, as_tuple(backward(d_y, cache))))
    wrt = list(wrt) if wrt is not None else [name for name in names if grads.get(name) is not None]
    if not wrt:
        raise GradientError("backward returned no gradient at all")

    batch = values(y).shape[0] if values(y).ndim else _batch(args)
    reports = []
    for name in wrt:
        i = names.index(name)
        f = _function_of(forward, args, i)
        report = compare(name, grads.get(name), f, values(args[i]), values(y), values(d_y), batch, step)
        if is_csr(args[i]) and report.index:
            k = report.index[0]
            report = replace(report, index=(int(row_of_each(args[i])[k]), int(args[i].indices[k])))
        reports.append(report)
    return reports


def check_gradient(
    loss_fn: Callable[[Params], float],
    grads: Mapping[str, Array],
    params: Params,
    *,
    kinks: Callable[[Params], Array] | None = None,
    batch: int | None = None,
    step: float = STEP,
) -> list[GradientReport]:
    """Check the gradients of loss_fn(params) in every parameter, by the rule of `check_backward`.

    Raises ValueError where `kinks(params)` changes sign within a step of 2h: draw the parameters again.
    """
    params = {name: _widen(value) for name, value in params.items()}
    loss, one = np.asarray(loss_fn(params)), np.asarray(1.0)
    reports = []
    for name, x in params.items():
        if kinks is not None and crosses_kink(_in_one(kinks, params, name), x, step):
            raise ValueError(f"{name}: a step of 2h crosses a kink: want parameters drawn again")
        f = _in_one(loss_fn, params, name)
        reports.append(compare(name, grads.get(name), f, x, loss, one, batch, step))
    return reports


def assert_gradients(
    forward: Callable[..., tuple[Any, Any]], backward: Callable[..., Any], args: Sequence[Any], **options: Any
) -> list[GradientReport]:
    """Return the reports of `check_backward`; raise GradientError with a line for each that is not ok."""
    reports = check_backward(forward, backward, args, **options)
    if wrong := [report.message for report in reports if not report.ok]:
        raise GradientError("\n".join(wrong))
    return reports


def compare(
    name: str,
    grad: Any,
    f: Callable[[Array], Array],
    x: Array,
    y: Array,
    d_y: Array,
    batch: int | None = None,
    step: float = STEP,
) -> GradientReport:
    """Report on the gradient of <f(x), d_y> in x, where y = f(x)."""
    a = _checked_shape(name, grad, x)
    n = five_point(f, x, d_y, step)
    difference = np.abs(a - n)
    difference[~np.isfinite(difference)] = np.inf
    noise = roundoff(y, d_y, steps(x, step))
    with np.errstate(invalid="ignore"):
        bad = ~(difference <= REL_TOL * np.abs(a) + noise)
    # Where a right gradient is 0 throughout, the difference is roundoff, and there is nothing to divide by.
    top = np.max(np.abs(a), initial=0) or np.max(np.abs(n), initial=0)
    worst_difference = np.max(difference, initial=0)
    rel_error = 0.0 if (not a.any() and not bad.any()) or not x.size else float(worst_difference / top)
    worst = np.where(bad, difference, -1) if bad.any() else difference
    index = tuple(int(i) for i in np.unravel_index(np.argmax(worst), x.shape)) if x.size else ()
    by_complex = complex_step(f, x, d_y, index) if x.size else None
    if by_complex is not None and not abs(by_complex - n[index]) <= REL_TOL * abs(n[index]) + noise[index]:
        by_complex = None  # f is not analytic there: |x| of a complex number forgets its angle
    ok = not bad.any() and rel_error <= REL_TOL
    return GradientReport(
        name, index, float(a[index]), float(n[index]), by_complex, rel_error, ok, float(noise[index]), batch
    )


def argument_names(forward: Callable[..., Any], n: int) -> list[str]:
    """The names of the first n positional arguments; arg0, arg1 ... where the signature has none."""
    found = [p.name for p in inspect.signature(forward).parameters.values() if p.kind < p.VAR_POSITIONAL]
    return (found + [f"arg{i}" for i in range(len(found), n)])[:n]


def random_cotangent(y: Any, rng: np.random.Generator) -> Any:
    """A random d_y in the form of y; for a loss a number between 1/2 and 2."""
    if values(y).ndim == 0:
        return float(rng.uniform(0.5, 2))
    return like(y, rng.standard_normal(values(y).shape))


def as_tuple(grads: Any) -> tuple[Any, ...]:
    """The gradients in the order of the arguments; trailing ones may be left out, a single one stand bare."""
    return tuple(grads) if isinstance(grads, (tuple, list)) else (grads,)


def _widen(a: Any) -> Any:
    """A float64 copy of a floating array or CSR matrix; anything else as it is."""
    if not np.issubdtype(getattr(a, "dtype", int), np.floating):
        return a
    return like(a, values(a).astype(np.float64)) if is_csr(a) else np.array(a, dtype=np.float64)


def _in_one(f: Callable[[Params], Any], params: Params, name: str) -> Callable[[Array], Array]:
    return lambda v: np.asarray(f({**params, name: v}))


def _function_of(
    forward: Callable[..., tuple[Any, Any]], args: Sequence[Any], i: int
) -> Callable[[Array], Array]:
    def f(v: Array) -> Array:
        moved = [*args[:i], like(args[i], v), *args[i + 1 :]]
        return values(forward(*moved)[0])

    return f


def _redraw(args: list[Any], kinks: Callable[..., Array], rng: np.random.Generator, step: float) -> list[Any]:
    floats = [i for i, a in enumerate(args) if np.issubdtype(getattr(a, "dtype", int), np.floating)]
    for _ in range(_REDRAWS):
        probes = (_function_of(lambda *moved: (kinks(*moved), None), args, i) for i in floats)  # as a forward
        if not any(crosses_kink(f, values(args[i]), step) for i, f in zip(floats, probes)):
            return args
        for i in floats:
            v = values(args[i])
            args[i] = like(args[i], v + 0.1 * rng.standard_normal(v.shape))
    raise ValueError(
        f"kinks: no point away from them in {_REDRAWS} draws: want fewer units or a smaller step"
    )


def _checked_shape(name: str, grad: Any, x: Array) -> Array:
    if grad is None:
        raise GradientError(f"d_{name}: backward returned no gradient")
    a = values(grad) + 0.0  # no -0
    if a.shape != x.shape:
        raise GradientError(f"d_{name}: want shape {x.shape}, got {a.shape}: a sum or a transpose missing?")
    return a


def _batch(args: Sequence[Any]) -> int | None:
    return next((a.shape[0] for a in args if getattr(a, "ndim", 0) == 2), None)
