"""Checks at any size: the adjoint identity, and the layer contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minigen.gradcheck.check import GradientReport, argument_names, as_tuple, random_cotangent
from minigen.gradcheck.differences import (
    REL_TOL,
    STEP,
    GradientError,
    along,
    is_csr,
    like,
    roundoff,
    steps,
    values,
)
from minigen.typing import Array, Params

_SAME = 1e-12  # linearity, in float64


def check_direction(
    loss_fn: Callable[[Params], float],
    grads: Mapping[str, Array],
    params: Params,
    *,
    seed: int = 0,
    step: float = STEP,
) -> GradientReport:
    """Check <v, gradient> against the derivative of loss_fn along a random v over all parameters at once.

    Four evaluations at any size.  Says that a gradient is wrong, not where: for that, see `check_gradient`.
    """
    names = list(params)
    sizes = np.cumsum([0, *(params[name].size for name in names)])
    x = np.concatenate([params[name].ravel() for name in names]).astype(np.float64)
    a = np.concatenate([np.asarray(grads[name], dtype=np.float64).ravel() for name in names])
    if a.size != x.size:
        raise GradientError(f"gradients: want {x.size} numbers, one a parameter, got {a.size}")

    def f(flat: Array) -> Array:
        parts = (flat[start:end] for start, end in pairwise(sizes))
        return np.asarray(loss_fn({n: part.reshape(params[n].shape) for n, part in zip(names, parts)}))

    return _directional("all", f, x, a, np.asarray(1.0), np.random.default_rng(seed), step)


def check_adjoint(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Any],
    args: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    seed: int = 0,
    step: float = STEP,
) -> GradientReport:
    """Check the adjoint identity <J v, d_y> = <v, J^T d_y> for random v and d_y.   [eq:adjoint]

    J v is a five-point difference along v, J^T d_y the backward pass.  `wrt` as in `check_backward`.
    """
    rng = np.random.default_rng(seed)
    names = list(names) if names is not None else argument_names(forward, len(args))
    y, cache = forward(*args)
    d_y = random_cotangent(y, rng)
    grads = dict(zip(names, as_tuple(backward(d_y, cache))))
    wrt = list(wrt) if wrt is not None else [name for name in names if grads.get(name) is not None]
    which = [names.index(name) for name in wrt]
    sizes = np.cumsum([0, *(values(args[i]).size for i in which)])
    x = np.concatenate([values(args[i]).ravel() for i in which]).astype(np.float64)
    a = np.concatenate([values(grads[name]).ravel() for name in wrt])

    def f(flat: Array) -> Array:
        moved = list(args)
        for i, (start, end) in zip(which, pairwise(sizes)):
            moved[i] = like(args[i], flat[start:end].reshape(values(args[i]).shape))
        return values(forward(*moved)[0])

    return _directional(", ".join(wrt), f, x, a, values(d_y), rng, step)


def _directional(
    name: str,
    f: Callable[[Array], Array],
    x: Array,
    a: Array,
    d_y: Array,
    rng: np.random.Generator,
    step: float,
) -> GradientReport:
    v = rng.standard_normal(x.shape) * steps(x, 1.0)
    analytic = float(v @ a)
    numeric = float(np.sum(along(f, x, step * v) * d_y) / step)
    # The terms of <v, a> may cancel by chance: their root sum of squares is the size to expect of it.
    size = float(np.linalg.norm(v * a))
    error = abs(analytic - numeric)
    ok = bool(error <= REL_TOL * size + roundoff(f(x), d_y, step))
    rel_error = error / size if size else float(error > 0)
    return GradientReport(name, (), analytic, numeric, None, rel_error, ok)


def check_contract(
    forward: Callable[..., tuple[Any, Any]],
    backward: Callable[..., Any],
    args: Sequence[Any],
    *,
    seed: int = 0,
) -> None:
    """Check that both passes are pure and repeatable, backward is linear in d_y, and float32 stays float32.

    Raises GradientError with the rule that was broken.
    """
    rng = np.random.default_rng(seed)
    before = [_copy(a) for a in args]
    y, cache = forward(*args)
    _want(all(map(_same, args, before)), "forward: changed an argument")
    y = _copy(y)
    _want(_same(y, forward(*args)[0]), "forward: the same arguments gave another y")
    u, v = random_cotangent(y, rng), random_cotangent(y, rng)
    u_before = _copy(u)
    grads = [_copy(g) for g in as_tuple(backward(u, cache))]
    _want(_same(u, u_before), "backward: changed d_y")
    _want(all(map(_same, args, before)), "backward: changed an argument of forward")
    again = as_tuple(backward(u, cache))
    _want(all(map(_same, grads, again)), "backward: the same d_y and cache gave other gradients")

    mixed = like(u, 2 * values(u) - 3 * values(v))
    for g_u, g_v, g in zip(grads, as_tuple(backward(v, cache)), as_tuple(backward(mixed, cache))):
        if g is not None:
            want = 2 * values(g_u) - 3 * values(g_v)
            close = np.max(np.abs(values(g) - want), initial=0) <= _SAME * np.max(np.abs(want), initial=1)
            _want(bool(close), "backward: not linear in d_y")

    narrow = [_as_float32(a) for a in args]
    y, cache = forward(*narrow)
    outputs = [y, *as_tuple(backward(_as_float32(random_cotangent(y, rng)), cache))]
    dtypes = {str(values(o).dtype) for o in outputs if hasattr(o, "dtype")}
    _want(dtypes <= {"float32"}, f"float32 in: want float32 out, got {', '.join(sorted(dtypes))}")


def _as_float32(a: Any) -> Any:
    if not np.issubdtype(getattr(a, "dtype", int), np.floating):
        return a
    return like(a, values(a).astype(np.float32))


def _copy(a: Any) -> Any:
    return a.copy() if isinstance(a, np.ndarray) or is_csr(a) else a


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    patterns = [(x.indices, x.indptr) for x in (a, b) if is_csr(x)]
    return np.array_equal(values(a), values(b)) and (
        not patterns or all(map(np.array_equal, patterns[0], patterns[1]))
    )


def _want(condition: bool, message: str) -> None:
    if not condition:
        raise GradientError(message)
