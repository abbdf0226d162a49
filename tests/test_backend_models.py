"""Twins in use: the same refusals, the same bytes at every thread count, and models that learn the same."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from scipy import sparse

from minigen import backends
from minigen.ops.dense import numba_dense
from minigen.recommender import MultVAE

X = sparse.csr_matrix(np.eye(2, 3))
TWICE = sparse.csr_matrix((np.ones(2), np.array([1, 1]), np.array([0, 2, 2])), shape=(2, 3))
W, B, STATE = np.ones((3, 2)), np.ones(2), backends.NUMPY.AdamState.zeros_like(np.ones((3, 2)))


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("dense_forward", (np.ones((4, 5)), W, B)),
        ("dense_forward", (np.ones((4, 3)), W, B, np.ones((4, 3)))),
        ("dense_backward", (np.ones((4, 3)), (np.ones((4, 3)), W))),
        ("sparse_dense_forward", (X, W[1:], B)),
        ("sparse_dense_backward", (np.ones((2, 3)), (X, W))),
        ("sparse_dense_backward", (np.ones((2, 2)), (X, W), False, np.ones((2, 2)))),
        ("softmax_nll_forward", (np.ones((2, 2)), X)),
        ("softmax_nll_forward", (np.ones((2, 3)), TWICE)),
        ("softmax_nll_forward", (np.ones((2, 3)), X, np.ones((3, 2)))),
        ("bernoulli_nll_forward", (np.ones((2, 2)), X)),
        ("bernoulli_nll_forward", (np.ones((2, 3)), TWICE)),
        ("bernoulli_nll_backward", (1.0, (np.ones((2, 3)), X), np.ones((3, 2)))),
        ("adam_step", (W, np.ones((2, 3)), STATE)),
        ("adam_step", (W.T, W.T, backends.NUMPY.AdamState.zeros_like(W.T))),
        ("dropout_forward", (np.ones(3), np.ones(2), 0.5)),
        ("top_k", (np.ones((2, 3)), 4)),
        ("top_k", (np.ones((2, 3)), 1, X[:, 1:])),
        ("top_k", (np.array([[1.0, np.nan]]), 1)),
        ("top_k", (np.ones((2, 3), int), 1)),
    ],
)
def test_a_twin_refuses_in_the_same_words(operation, arguments, monkeypatch):
    monkeypatch.setattr(numba_dense, "PARALLEL", 0)  # below, NumPy refuses itself
    twin = backends.load("numba")
    if operation.endswith("dense_backward"):
        name = operation.replace("backward", "forward")
        d_y, (x, w), *rest = arguments
        arguments = d_y, getattr(twin, name)(x, w, B)[1], *rest
    with pytest.raises(ValueError) as wanted:
        getattr(backends.NUMPY, operation)(*arguments)
    with pytest.raises(ValueError) as got:
        getattr(twin, operation)(*arguments)
    assert str(got.value) == str(wanted.value)


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_that_nothing_is_known_of_cost_log_2_each_in_any_number(dtype):
    nobody = sparse.csr_matrix((2, 3000), dtype=dtype)
    loss, _ = backends.load("numba").bernoulli_nll_forward(np.zeros((2, 3000), dtype), nobody)
    assert loss == pytest.approx(3000 * np.log(2), rel=1e-6)


def test_nan_and_infinite_logits_are_no_number_for_the_twin_either():
    for bad in (np.nan, np.inf):
        logits = np.zeros((2, 3), np.float32)
        logits[0, 1] = bad
        loss, _ = backends.load("numba").softmax_nll_forward(logits, X.astype(np.float32))
        assert np.isnan(loss)


def clicks(n_users: int, n_items: int, a_row: int) -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    items = [np.sort(rng.choice(n_items, a_row, replace=False)) for _ in range(n_users)]
    indptr = a_row * np.arange(n_users + 1)
    data = np.ones(n_users * a_row, np.float32)
    return sparse.csr_matrix((data, np.concatenate(items), indptr), shape=(n_users, n_items))


# Large enough that every kernel runs on its threads.
SIZES = {"hidden": 160, "latent": 20, "batch": 80, "patience": 0, "anneal_epochs": 1}
ROWS = clicks(400, 3500, 100)


@pytest.fixture
def threads() -> Iterator[list[int]]:
    backends.load("numba")
    before = numba.get_num_threads()
    yield sorted({1, min(2, numba.config.NUMBA_NUM_THREADS)})
    numba.set_num_threads(before)


def fitted(backend: str, **more) -> tuple[MultVAE, list[float]]:
    losses = []

    def report(state, logged):
        if "epoch" not in logged:
            losses.append(logged["loss"])

    settings = SIZES | {"epochs": 1} | {k: v for k, v in more.items() if k == "epochs"}
    rest = {k: v for k, v in more.items() if k != "epochs"}
    return MultVAE(**settings, backend=backend).fit(ROWS, report=report, **rest), losses


def test_twenty_steps_of_mult_vae_lose_the_same(threads):
    numba.set_num_threads(threads[-1])
    (reference, wanted), (twin, got) = fitted("numpy", epochs=4), fitted("numba", epochs=4)
    assert len(wanted) == 20
    assert wanted[-1] < wanted[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    few = ROWS[:3]
    np.testing.assert_allclose(twin.score(few), reference.score(few), rtol=0, atol=1e-3)
    assert twin.recommend(few, 5)[0].tolist() == reference.recommend(few, 5)[0].tolist()


def test_seed_fixes_every_byte_at_every_number_of_threads(threads):
    runs = []
    for n in [*threads, threads[-1]]:
        numba.set_num_threads(n)
        runs.append(fitted("numba")[0].params)
    for params in runs[1:]:
        for name, array in params.items():
            assert array.tobytes() == runs[0][name].tobytes(), name


def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path):
    whole, _ = fitted("numba")

    def stop(state, logged):
        if state.step == 3:
            raise InterruptedError

    model = MultVAE(**SIZES, epochs=1, backend="numba")
    with pytest.raises(InterruptedError):
        model.fit(ROWS, run=tmp_path / "run", checkpoint_seconds=0, report=stop)
    resumed, _ = fitted("numba", run=tmp_path / "run", resume=True)
    for name, array in whole.params.items():
        assert array.tobytes() == resumed.params[name].tobytes(), name


def test_two_threads_of_a_program_may_score_at_once():
    scores = np.random.default_rng(0).standard_normal((40, 3000), dtype=np.float32)
    top_k = backends.load("numba").top_k
    wanted = top_k(scores, 7)[0]
    with ThreadPoolExecutor(4) as pool:
        for items, _ in pool.map(lambda _: top_k(scores, 7), range(40)):
            np.testing.assert_array_equal(items, wanted)
