"""Our own threads around BLAS: every part once, and BLAS afterwards as it was."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minigen.backends import load
from minigen.ops.dense import numba_dense
from minigen.ops.numba_crew import _blas, share_out

load("numba")


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_every_part_is_done_once_by_a_blas_of_one_thread():
    done, during = [], []

    def work(n):
        done.append(n)
        during.append(set(blas_threads()))

    _blas.cache_clear()  # another test may have brought a second library since
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        share_out(work, 50)
        assert blas_threads() == before
    assert sorted(done) == list(range(50))
    assert all(threads == {1} for threads in during)


def test_what_goes_wrong_is_told_and_blas_is_as_before():
    def work(n):
        raise ZeroDivisionError(n)

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(ZeroDivisionError):
            share_out(work, 4)
        assert blas_threads() == before


def _product(_):
    x, w = np.ones((600, 2), np.float32), np.ones((2, 2**11), np.float32)
    return float(numba_dense.dense_forward(x, w, np.zeros(2**11, np.float32))[0].sum())


@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="nothing forks here")
def test_a_fork_has_threads_of_its_own():
    assert _product(0) == 2 * 600 * 2**11
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map_async(_product, [0]).get(timeout=60) == [2 * 600 * 2**11]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wide_layers_equal_numpy(dtype):
    rng = np.random.default_rng(0)
    x, w, b, d_y = (rng.standard_normal(s).astype(dtype) for s in ((520, 7), (7, 2100), 2100, (520, 2100)))
    assert d_y.size >= numba_dense.PARALLEL
    y, cache = numba_dense.dense_forward(x, w, b)
    wanted, same = numba_dense.reference.dense_forward(x, w, b)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(y, wanted, rtol=0, atol=tolerance * abs(wanted).max())
    got = numba_dense.dense_backward(d_y, cache)
    for one, other in zip(got, numba_dense.reference.dense_backward(d_y, same)):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * abs(other).max())


def test_a_blas_that_cannot_be_told_is_left_alone(monkeypatch):
    monkeypatch.setattr(numba_dense, "can_share", lambda: False)
    monkeypatch.setattr(numba_dense, "share_out", lambda *_: pytest.fail("shared out"))
    assert _product(0) == 2 * 600 * 2**11
