"""Adam on gradients that are still products: the step is that of the whole gradient; bad ones are refused."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np
import pytest
from scipy import sparse
from test_parity import thresholds

from minigen import backends
from minigen.ops.product import Product
from minigen.optimizers import Adam
from minigen.recommender import MultVAE

OPS = backends.load("numba")
B, M, H = 520, 2100, 7


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(request.param, numba.config.NUMBA_NUM_THREADS))
    yield
    numba.set_num_threads(before)


def dense(dtype: type, whole: bool) -> tuple[np.ndarray, object]:
    """Weights (H, M) and their gradient."""
    rng = np.random.default_rng(0)
    x, w, b, d_y = (rng.standard_normal(s).astype(dtype) for s in ((B, H), (H, M), M, (B, M)))
    _, cache = OPS.dense_forward(x, w, b)
    return w, OPS.dense_backward(d_y, cache, np.full_like(w, np.nan), whole)[1]


def clicks(dtype: type, whole: bool) -> tuple[np.ndarray, object]:
    """Weights (M, 70) and their gradient; items without a click are first, in between and last."""
    rng = np.random.default_rng(0)
    held = rng.random((B, M)) < 0.02 + 0.2 * (np.arange(M) < 40)
    held[:, [0, 77, M - 1]] = False
    x = sparse.csr_matrix((held * rng.uniform(0.5, 2, (B, M))).astype(dtype))
    w, b, d_y = (rng.standard_normal(s).astype(dtype) for s in ((M, 70), 70, (B, 70)))
    _, cache = OPS.sparse_dense_forward(x, w, b)
    return w, OPS.sparse_dense_backward(d_y, cache, False, np.full_like(w, np.nan), whole)[1]


@pytest.mark.parametrize("layer", [dense, clicks])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("t", [0, 63])  # a step, and one that flushes
def test_the_step_is_that_of_the_whole_gradient(layer, dtype, t, threads):
    (w, product), (same, d_w) = layer(dtype, False), layer(dtype, True)
    assert isinstance(product, Product)
    assert isinstance(d_w, np.ndarray)
    assert (product.shape, product.dtype) == (d_w.shape, d_w.dtype)
    assert product.squares == pytest.approx(float(np.sum(np.square(product.d_y, dtype=np.float64))), rel=1e-5)
    states = [OPS.AdamState(np.full_like(w, 0.1), np.full_like(w, 0.01), t) for _ in range(2)]
    states[0].m[-1], states[1].m[-1] = 1e-36, 1e-36  # below what a flush leaves, where there is no gradient
    OPS.adam_step(w, product, states[0])
    OPS.adam_step(same, d_w, states[1])
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    for got, wanted in ((w, same), (states[0].m, states[1].m), (states[0].v, states[1].v)):
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * abs(wanted).max())
        np.testing.assert_array_equal(got == 0, wanted == 0)
    np.testing.assert_allclose(product.whole(), d_w, rtol=0, atol=10 * tolerance * abs(d_w).max())


@pytest.mark.kernels
@pytest.mark.parametrize("layer", [dense, clicks])
def test_so_it_is_of_small_layers(layer, monkeypatch):
    monkeypatch.setitem(globals(), "B", 12)
    monkeypatch.setitem(globals(), "M", 90)
    with thresholds(0):
        test_the_step_is_that_of_the_whole_gradient(layer, np.float32, 63, None)


@pytest.mark.parametrize("layer", [dense, clicks])
def test_a_product_that_overflows_moves_nothing_and_is_named(layer):
    w, product = layer(np.float32, False)
    other, before = np.ones(3, np.float32), w.copy()
    adam = Adam(ops=OPS)
    with np.errstate(all="ignore"):
        spoilt = product.d_y * np.float32(1e38)
        bad = product._replace(d_y=spoilt, squares=float(np.vdot(spoilt, spoilt)))
        with pytest.raises(FloatingPointError, match="the gradient of w became nan or infinite"):
            adam.step({"b": other, "w": w}, {"b": np.ones(3, np.float32), "w": bad})
    np.testing.assert_array_equal(w, before)
    np.testing.assert_array_equal(other, 1)


@pytest.mark.parametrize("layer", [dense, clicks])
def test_a_product_that_could_overflow_but_does_not_is_taken(layer):
    w, product = layer(np.float32, False)
    assert product.surely_finite()
    doubtful = product._replace(squares=np.inf)
    assert not doubtful.surely_finite()
    before = w.copy()
    Adam(ops=OPS).step({"w": w}, {"w": doubtful})
    assert (w != before).mean() > 0.9


@pytest.mark.parametrize(("share", "sure"), [(0.4, True), (0.6, False)])  # half is what the bound may promise
def test_the_bound_is_met_by_the_largest_of_products(share, sure):
    x, d_y = np.full((B, 1), 3, np.float32), np.full((B, 1), -5, np.float32)  # x and d_y point the same way
    d_y *= np.float32(share * float(np.finfo(np.float32).max) / (15 * B))
    product = Product(x, d_y, np.empty((1, 1), np.float32), float(np.sum(np.square(d_y, dtype=np.float64))))
    assert abs(product.whole()[0, 0]) == pytest.approx(share * float(np.finfo(np.float32).max), rel=1e-5)
    assert product.surely_finite() == sure


def test_only_adam_of_the_twin_is_given_products():
    rows = sparse.csr_matrix((np.random.default_rng(0).random((300, 4000)) < 0.03).astype(np.float32))

    def kinds(**settings) -> set[type]:
        model = MultVAE(hidden=160, latent=8, batch=300, **settings)
        model.start(rows)
        eps = np.zeros((300, 8), np.float32)
        _, grads = model._gradients(model.params, rows, None, eps, 0.1)
        return {name for name, grad in grads.items() if isinstance(grad, Product)}

    assert kinds(backend="numba") == {"w_in", "w_out"}
    for settings in ({"backend": "numpy"}, {"backend": "numba", "l2": 0.1}, {"optimizer": "sgd"}):
        assert kinds(**settings) == set()
