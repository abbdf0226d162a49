"""Every CUDA twin against the NumPy reference, on a GPU or in Numba's simulator of one.

`pytest tests/cuda/parity.py` on a machine with a GPU; NUMBA_ENABLE_CUDASIM=1 before it simulates one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from test_parity import ROOMS, Draw, Room, compare

from minigen import backends
from minigen.backends import NUMPY
from minigen.ops.cuda_arrays import CSR
from minigen.ops.cuda_kernels import THREADS
from minigen.ops.cuda_matmul import DEPTH, SLICE, TILE

CUDA = backends.load("cuda")
ACTIVATIONS = ("tanh", "relu", "leaky_relu", "sigmoid", "softplus")
# n, m, h: past a tile and its terms and two blocks; none; one; and past two slices of the terms of a product.
LARGE = (TILE + DEPTH + 1, 2 * THREADS + 1, 3)
SIZES = [(0, 3, 2), (1, 1, 1), LARGE, (2, 3, 2 * SLICE + 3)]


def activations(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    x, d_y = ops.put(draw.array(n, m, scale=[1.0, 1000.0][h % 2])), ops.put(draw.array(n, m))
    results = [ops.sigmoid(x), ops.softplus(x)]
    for name in ACTIVATIONS:
        y, cache = getattr(ops, f"{name}_forward")(x)
        results += [y, getattr(ops, f"{name}_backward")(d_y, cache)]
    return tuple(results)


def gaussian(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    mu, log_var, eps, d_z = (ops.put(draw.array(max(n, 1), m)) for _ in range(4))
    z, cache = ops.reparameterise_forward(mu, log_var, eps)
    kl_nats, kl_cache = ops.gaussian_kl_forward(mu, log_var)
    gradients = *ops.reparameterise_backward(d_z, cache), *ops.gaussian_kl_backward(0.3, kl_cache)
    return z, float(kl_nats), *gradients


def accumulate(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    return ops.accumulate(ops.put(draw.array(n, m)), ops.put(draw.array(n, m)))


def softmax_nll_scaled(ops: Any, draw: Draw, n: int, m: int, h: int) -> Any:
    logits, x = draw.array(max(n, 1), m), draw.rows(max(n, 1), m, 0.2)
    _, cache = ops.softmax_nll_forward(ops.put(logits), ops.put(x))
    return ops.softmax_nll_backward(0.3, cache)


ALL_ROOMS = [
    *(room for room in ROOMS if set(room.operations) <= set(CUDA.rungs)),
    Room(activations, tuple(f"{a}_{way}" for a in ACTIVATIONS for way in ("forward", "backward")), unit=1),
    Room(
        gaussian,
        ("reparameterise_forward", "reparameterise_backward", "gaussian_kl_forward", "gaussian_kl_backward"),
    ),
    Room(accumulate, ("accumulate",)),
    Room(softmax_nll_scaled, ("softmax_nll_backward",), unit=0.1),
]


@pytest.mark.parametrize("room", ALL_ROOMS, ids=lambda room: room.run.__name__)
@pytest.mark.parametrize("size, dtype", [*((size, np.float32) for size in SIZES), (LARGE, np.float64)])
def test_a_twin_gives_what_numpy_gives(room: Room, size: tuple[int, int, int], dtype: type) -> None:
    wanted, draw = (Draw(sum(size), dtype, "strided") for _ in range(2))
    expected, got = room.run(NUMPY, wanted, *size), room.run(CUDA, draw, *size)
    got = [CUDA.get(part) for part in got] if isinstance(got, tuple) else CUDA.get(got)
    compare(room, expected, got, np.dtype(dtype))


def test_every_twin_is_compared() -> None:
    assert set(CUDA.rungs.values()) == {"cuda"}
    compared = {operation for room in ALL_ROOMS for operation in room.operations}
    assert compared == set(CUDA.rungs) - {"AdamState", "sigmoid", "softplus"}


def test_saturated_logits_stay_finite() -> None:
    logits, x = np.array([[1e4, 0, -1e4]], np.float32), sparse.csr_matrix(np.eye(3, dtype=np.float32)[1:2])
    loss, cache = CUDA.softmax_nll_forward(CUDA.put(logits), CUDA.put(x))
    assert float(loss) == pytest.approx(1e4)
    np.testing.assert_array_equal(CUDA.get(cache.d_logits), [[1, -1, 0]])


def test_the_flags_of_a_diverging_run_survive() -> None:
    w = CUDA.put(np.ones(3, np.float32))
    state = CUDA.AdamState.zeros_like(w)
    CUDA.adam_step(w, CUDA.put(np.array([np.nan, 1, 0], np.float32)), state)
    assert np.isnan(CUDA.get(w)).tolist() == [True, False, False]
    assert np.isnan(CUDA.get(state.m)).tolist() == [True, False, False]


def test_what_is_put_comes_back() -> None:
    rows = sparse.csr_matrix(np.array([[0, 2, 1], [0, 0, 0]], np.float32))
    back = CUDA.get(CUDA.put({"w": np.eye(3), "rows": rows}))
    np.testing.assert_array_equal(back["w"], np.eye(3))
    assert (back["rows"] != rows).nnz == 0
    on_device = CUDA.put(rows)
    assert isinstance(on_device, CSR)
    assert CUDA.put(on_device) is on_device
    assert CUDA.get(back) == back


def test_wrong_input_is_refused() -> None:
    x, w, b = (CUDA.put(np.ones(shape, np.float32)) for shape in ((2, 3), (4, 5), (5,)))
    with pytest.raises(ValueError, match=r"x: want shape \(any, 4\), got \(2, 3\)"):
        CUDA.dense_forward(x, w, b)
    with pytest.raises(ValueError, match="out: want shape"):
        CUDA.dense_forward(w, CUDA.put(np.ones((5, 5), np.float32)), b, out=x)
    with pytest.raises(ValueError, match="a score is NaN"):
        CUDA.top_k(CUDA.put(np.array([[1, np.nan, 2]])), 1)
    with pytest.raises(ValueError, match="the arrays are shared"):
        CSR((x, w, b), (2, 3), copy=True)
    with pytest.raises(ValueError, match="at most once in a row"):
        CUDA.put(sparse.csr_matrix((np.ones(2), [0, 0], [0, 2]), (1, 3)))
    square = CUDA.put(np.ones((4, 4), np.float32))[:, :2]
    with pytest.raises(ValueError, match="w: want a C-contiguous array"):
        CUDA.adam_step(square, square, CUDA.AdamState(square, square))
