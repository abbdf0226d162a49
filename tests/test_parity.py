"""Every twin against the NumPy reference: one test body for all backends and all operations that have one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba import config
from parity_likelihoods import bernoulli_nll, bernoulli_nll_in_place, softmax_nll, softmax_nll_in_place
from scipy import sparse

from minigen import backends
from minigen.errors import InputError

TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}
# Around sizes at which kernels change: vectors, four rows, bands, runs; plain Python gets the smaller.
FEW = [0, 1, 2, 3, 4, 5, 7, 8, 13, 17]
MANY = [1, 2, 3, 7, 31, 64, 65, 127, 511, 513, 1023, 1025][: 7 if config.DISABLE_JIT else 12]


class Draw:
    """Arrays of one dtype in the memory layouts that people pass."""

    def __init__(self, seed: int, dtype: type, layout: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype, self.layout = np.dtype(dtype), layout
        self.drawn: list[tuple[np.ndarray, np.ndarray]] = []  # what must stay as it was

    def array(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        array = (scale * self.rng.standard_normal(shape)).astype(self.dtype)
        if self.layout == "fortran":
            array = np.asfortranarray(array)
        elif self.layout == "strided":
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        elif self.layout == "reversed":
            array = array[::-1]
        self.drawn.append((array, array.copy()))
        return array

    def rows(self, n: int, m: int, density: float) -> sparse.csr_matrix:
        """CSR rows: the first is empty, the last has every item."""
        dense = self.rng.uniform(0.5, 2, (n, m)) * (self.rng.random((n, m)) < density)
        dense[:1] = 0
        dense[1:][-1:] = 1.5
        return sparse.csr_matrix(dense.astype(self.dtype))


def dense(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    x, w, b, d_y = draw.array(n, h), draw.array(h, m), draw.array(m), draw.array(n, m)
    x, w, b, d_y = (ops.put(a) for a in (x, w, b, d_y))
    y, cache = ops.dense_forward(x, w, b)
    return y, *ops.dense_backward(d_y, cache)


def dense_into(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    x, w, b, d_y = draw.array(n, h), draw.array(h, m), draw.array(m), draw.array(n, m)
    y, d_w = (ops.put(np.full(shape, np.nan, draw.dtype)) for shape in ((n, m), (h, m)))
    got, cache = ops.dense_forward(*(ops.put(a) for a in (x, w, b)), out=y)
    backward = ops.dense_backward(ops.put(d_y), cache, out=d_w)
    assert got is y
    assert backward[1] is d_w
    return y, *backward


def sparse_dense(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    x, w, b, d_y = draw.rows(n, m, 0.2), draw.array(m, h), draw.array(h), draw.array(n, h)
    x, w, b, d_y = (ops.put(a) for a in (x, w, b, d_y))
    y, cache = ops.sparse_dense_forward(x, w, b)
    return y, *ops.sparse_dense_backward(d_y, cache)


def sparse_dense_into(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    x, w, b, d_y = draw.rows(n, m, 0.05), draw.array(m, h), draw.array(h), draw.array(n, h)
    d_w = ops.put(np.full((m, h), np.nan, draw.dtype))
    y, cache = ops.sparse_dense_forward(*(ops.put(a) for a in (x, w, b)))
    backward = ops.sparse_dense_backward(ops.put(d_y), cache, with_d_x=False, out=d_w)
    assert backward[0] is None
    assert backward[1] is d_w
    return y, *backward[1:]


def short_dense(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    return ops.short_dense_forward(draw.array(n, h), ops.shorten(draw.array(h, m)), draw.array(m))


def adam(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    shape = min(n, 2), 17 * m
    w, d_w = ops.put(draw.array(*shape).copy()), [ops.put(draw.array(*shape)) for _ in range(3)]
    state = ops.AdamState.zeros_like(w)
    for step in range(66):  # past a flush
        ops.adam_step(w, d_w[step % 3], state, 0.01, 0.8, 0.95, 1e-6)
    return w, state.m, state.v


def adam_rows(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    shape = 17 * n, min(m, 70)
    w, state = ops.put(draw.array(*shape).copy()), ops.AdamState.zeros_like(np.zeros(shape, draw.dtype))
    for _ in range(3):
        rows, numbers = np.flatnonzero(draw.rng.random(len(w)) < 0.5), (state, 0.01, 0.8, 0.95, 1e-6)
        ops.adam_rows_catch_up(w, rows, draw.rng.integers(0, 30, rows.size), *numbers)
        ops.adam_rows_step(w, rows, ops.put(draw.array(rows.size, shape[1])), *numbers)
    return w, state.m, state.v


def adam_forgets(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    w, rare = ops.put(draw.array(n, m).copy()), draw.array(n, m, scale=1e-25)
    state = ops.AdamState.zeros_like(w)
    for step in range(64):
        ops.adam_step(w, ops.put(np.zeros_like(rare) if step else rare), state)
    return (ops.get(state.m) == 0).astype(float), (ops.get(state.v) == 0).astype(float)


def dropout(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    x, d_y = draw.array(n, m), draw.array(n, m)
    mask = draw.rng.random((n, m)) < 0.7
    mask = mask.astype(draw.dtype) if h % 2 else mask
    y, cache = ops.dropout_forward(ops.put(x), ops.put(mask), 0.7)
    return y, ops.dropout_backward(ops.put(d_y), cache)


def normalise(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    x, d_y = draw.rows(n, m, 0.3), draw.rows(n, m, 0.3)
    d_y = sparse.csr_matrix((draw.array(x.nnz).copy(), x.indices, x.indptr), x.shape)
    y, cache = ops.l2_normalise_forward(ops.put(x))
    return y, cache.length, ops.l2_normalise_backward(ops.put(d_y), cache)


def top_k(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    scores = np.round(draw.array(n, m), h % 3)  # ties
    scores[draw.rng.random(scores.shape) < 0.1] = -np.inf
    seen = ops.put(draw.rows(n, m, 0.4)) if h % 2 else None
    return ops.top_k(ops.put(scores), min(m, 1 + h), seen)


class Room(NamedTuple):
    """What to run on both sides and over which operations, and how alike the results are."""

    run: Callable[..., Any]
    operations: tuple[str, ...]
    exact: bool = False  # the same bits
    unit: float = 0.0  # of the terms of a difference: what is left of them has their rounding


DENSE, SPARSE = ("dense_forward", "dense_backward"), ("sparse_dense_forward", "sparse_dense_backward")
BITS = ("bernoulli_nll_forward", "bernoulli_nll_backward")
ROOMS = [
    Room(dense, DENSE),
    Room(dense_into, DENSE),
    Room(sparse_dense, SPARSE),
    Room(sparse_dense_into, SPARSE),
    Room(short_dense, ("short_dense_forward",)),
    Room(softmax_nll, ("softmax_nll_forward",), unit=0.1),
    Room(softmax_nll_in_place, ("softmax_nll_forward",), unit=0.1),
    Room(bernoulli_nll, BITS, unit=0.1),
    Room(bernoulli_nll_in_place, BITS, unit=0.1),
    Room(adam, ("adam_step",)),
    Room(adam_rows, ("adam_rows_catch_up", "adam_rows_step")),
    Room(adam_forgets, ("adam_step",), exact=True),
    Room(dropout, ("dropout_forward", "dropout_backward")),
    Room(normalise, ("l2_normalise_forward", "l2_normalise_backward")),
    Room(top_k, ("top_k",), exact=True),
]


@contextmanager
def thresholds(size: int | None) -> Iterator[None]:
    """Let the Numba twins hand over to threads at `size` entries, whatever was measured."""
    modules = [m for name, m in sys.modules.items() if name.startswith("minigen.ops.") and ".numba_" in name]
    with pytest.MonkeyPatch.context() as patch:
        for module in modules if size is not None else []:
            for name in {"PARALLEL", "SORTED", "SHARE", "SMALL", "NARROW"} & set(vars(module)):
                patch.setattr(module, name, size if name in ("PARALLEL", "SORTED") else 0)
        yield


@pytest.fixture(scope="module", params=["numba", "cuda"])
def twin(request) -> backends.Backend:
    try:
        return backends.load(request.param)
    except InputError as error:
        pytest.skip(str(error))


def leaves(value: Any) -> Iterator[Any]:
    if sparse.issparse(value):
        yield from (value.data, value.indices, value.indptr)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from leaves(part)
    else:
        yield np.asarray(value)


def compare(room: Room, one: Any, other: Any, dtype: np.dtype) -> None:
    one, other = list(leaves(one)), list(leaves(other))
    assert len(one) == len(other)
    for a, b in zip(one, other):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if room.exact or not np.issubdtype(a.dtype, np.floating):
            np.testing.assert_array_equal(a, b)
        else:
            within = TOLERANCE[dtype] * max(np.abs(a).max(initial=0), room.unit)
            np.testing.assert_allclose(b, a, rtol=0, atol=within)


@pytest.mark.kernels
@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.run.__name__)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from(FEW),
    m=st.sampled_from(MANY),
    h=st.sampled_from(FEW),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["c", "fortran", "strided", "reversed"]),
    threshold=st.sampled_from([None, 0, 2**62]),
)
def test_a_twin_gives_what_numpy_gives(room, twin, seed, n, m, h, dtype, layout, threshold):
    if not twin.rungs.keys() >= set(room.operations):
        pytest.skip(f"the {twin.name} backend has no {room.run.__name__}")
    wanted, draw = (Draw(seed, dtype, layout) for _ in range(2))
    expected = room.run(backends.NUMPY, wanted, n, m, h)
    with thresholds(threshold):
        got = room.run(twin, draw, n, m, h)
    got = [twin.get(part) for part in got] if isinstance(got, tuple) else twin.get(got)
    compare(room, expected, got, draw.dtype)
    for array, before in wanted.drawn + draw.drawn:
        np.testing.assert_array_equal(array, before)


def test_every_operation_with_a_twin_is_compared():
    covered = {operation for room in ROOMS for operation in room.operations}
    assert covered == {name for name, rung in backends.load("numba").rungs.items() if rung == "numba"}
