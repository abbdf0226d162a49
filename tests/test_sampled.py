"""Sampled softmax and the Adam of some rows: where they equal the whole, and what they estimate."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array

from minigen import ops
from minigen.backends import load
from minigen.errors import InputError
from minigen.gradcheck.differences import five_point
from minigen.ops.sparse import Lines
from minigen.optimizers import Adam
from minigen.recommender import MultVAE, autoencoder, sampled
from minigen.recommender.autoencoder import Form
from minigen.recommender.sampled import Proposal, give, take

M, B, Z = 40, 6, 3


def _rows(rng, n_users=B, n_items=M, density=0.15):
    return csr_matrix(random_array((n_users, n_items), density=density, rng=rng, dtype=np.float64))


def _loss(params, catalogue, form, eps, mask):
    small = take(params, catalogue)
    terms, cache = autoencoder.forward(small, catalogue.x, form, mask, eps, 0.3)
    return terms.loss, give(autoencoder.backward(cache, form, 0.3), catalogue)


def _whole(grads, params):
    """Dense gradients of the whole catalogue."""
    return {n: g.whole(params[n].shape) if isinstance(g, Lines) else g for n, g in grads.items()}


def _problem(rng, hidden, n_items=M):
    form = Form(keep=0.5)
    params = autoencoder.init_params(n_items, hidden, Z, form, rng)
    params = {name: 0.3 * rng.standard_normal(w.shape) for name, w in params.items()}
    x = _rows(rng, n_items=n_items)
    mask = rng.random(x.nnz) < 0.5
    return form, params, x, mask, rng.standard_normal((B, Z))


@pytest.mark.parametrize("hidden", [0, 5])
def test_a_draw_of_everything_is_the_full_softmax(hidden):
    rng = np.random.default_rng(0)
    form, params, x, mask, eps = _problem(rng, hidden)
    proposal = Proposal(np.zeros(M, int))
    own = np.unique(x.indices)
    everything = proposal.draw(x, 0, rng)._replace(log_weight=np.zeros(M))
    everything = everything._replace(items=np.arange(M), x=x, clicked=own)
    loss, grads = _loss(params, everything, form, eps, mask)
    terms, cache = autoencoder.forward(params, x, form, mask, eps, 0.3)
    full = autoencoder.backward(cache, form, 0.3)
    assert loss == pytest.approx(terms.loss, rel=1e-12)
    for name, grad in _whole(grads, params).items():
        np.testing.assert_allclose(grad, full[name], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("hidden", [0, 5])
def test_every_gradient_of_a_sampled_step(hidden):
    rng = np.random.default_rng(1)
    form, params, x, mask, eps = _problem(rng, hidden)
    catalogue = Proposal(np.bincount(x.indices, minlength=M)).draw(x, 7, rng)
    assert B < catalogue.items.size < M
    _, grads = _loss(params, catalogue, form, eps, mask)
    for name, grad in _whole(grads, params).items():

        def loss(w, name=name):
            return np.array(_loss(params | {name: w}, catalogue, form, eps, mask)[0])

        numeric = five_point(loss, params[name], np.array(1.0))
        np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
def test_partition_sum_is_right_on_average(power):
    rng = np.random.default_rng(2)
    x = _rows(rng)
    proposal = Proposal(rng.integers(0, 50, M), power)
    logits = rng.standard_normal(M)
    estimates = []
    for _ in range(4000):
        drawn = proposal.draw(x, 8, rng)
        estimates.append(np.exp(logits[drawn.items] + drawn.log_weight).sum())
    z = np.exp(logits).sum()
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - z) < 4 * error
    assert error < 0.02 * z


def test_a_draw_holds_every_click_once_and_in_order():
    rng = np.random.default_rng(3)
    x = _rows(rng)
    drawn = Proposal(np.ones(M, int)).draw(x, 9, rng)
    assert (np.diff(drawn.items) > 0).all()
    np.testing.assert_array_equal(drawn.items[drawn.clicked], np.unique(x.indices))
    np.testing.assert_array_equal(drawn.items[drawn.x.indices], x.indices)
    assert (drawn.log_weight[drawn.clicked] == 0).all()


def test_proposal_wants_items_and_a_power():
    with pytest.raises(ValueError, match="items"):
        Proposal(np.zeros(0, int))
    with pytest.raises(ValueError, match="power"):
        Proposal(np.zeros(3, int), np.inf)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_adam_of_all_rows_is_adam(backend):
    rng = np.random.default_rng(4)
    twin = load(backend)
    w = rng.standard_normal((7, 5))
    whole, rows = w.copy(), w.copy()
    state, rows_state = ops.AdamState.zeros_like(w), ops.AdamState.zeros_like(w)
    for _ in range(5):
        d_w = rng.standard_normal(w.shape)
        ops.adam_step(whole, d_w, state)
        twin.adam_rows_step(rows, np.arange(7), d_w, rows_state)
    np.testing.assert_allclose(rows, whole, rtol=1e-12)
    assert rows_state.t == 5


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("shape", [(9,), (9, 4), (3000, 40)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam_leaves_other_rows_alone(backend, shape, dtype):
    rng = np.random.default_rng(5)
    twin, w = load(backend), rng.standard_normal(shape).astype(dtype)
    before, state = w.copy(), ops.AdamState.zeros_like(w)
    reference, reference_state = w.copy(), ops.AdamState.zeros_like(w)
    for touched in (np.array([1, 4, 8]), np.array([0, 1]), np.array([], int), np.arange(2, shape[0], 2)):
        d_rows = rng.standard_normal((len(touched), *shape[1:])).astype(dtype)
        twin.adam_rows_step(w, touched, d_rows, state)
        ops.adam_rows_step(reference, touched, d_rows, reference_state)
    np.testing.assert_allclose(w, reference, rtol=1e-5 if dtype == np.float32 else 1e-13, atol=1e-7)
    np.testing.assert_array_equal(w[[3, 5, 7]], before[[3, 5, 7]])
    assert not np.any(w[[0, 1, 4, 8]] == before[[0, 1, 4, 8]])
    assert state.t == 4


@pytest.mark.parametrize("rows", [[1, 1], [2, 1], [-1, 2], [0, 9]])
def test_adam_wants_rows_that_are_there_once(rows):
    w = np.ones((9, 2))
    with pytest.raises(ValueError, match="ascending"):
        ops.adam_rows_step(w, np.array(rows), np.ones((2, 2)), ops.AdamState.zeros_like(w))


def test_optimizer_moves_lines_of_either_axis():
    rng = np.random.default_rng(7)
    by_column, by_row = np.asfortranarray(rng.standard_normal((4, 9))), None
    by_row = by_column.T.copy()
    values, where = rng.standard_normal((4, 3)), np.array([1, 5, 6])
    one, other = Adam(), Adam()
    one.step({"w": by_column}, {"w": Lines(where, values, axis=1)})
    other.step({"w": by_row}, {"w": Lines(where, values.T)})
    np.testing.assert_array_equal(by_column.T, by_row)
    again = Adam()
    again.restore(one.arrays())
    again.step({"w": by_column}, {"w": Lines(where, values, axis=1)})
    other.step({"w": by_row}, {"w": Lines(where, values.T)})
    np.testing.assert_array_equal(by_column.T, by_row)


NEGATIVES = {"hidden": 6, "latent": 3, "batch": 16, "epochs": 3, "patience": 0, "negatives": 9}


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("hidden", [0, 6])
def test_a_sampled_run_goes_on_to_the_same_bytes(backend, hidden, tmp_path):
    rows, settings = _rows(np.random.default_rng(8), 50), NEGATIVES | {"backend": backend, "hidden": hidden}
    whole = MultVAE(**settings).fit(rows)

    def stop(state, logged):
        if state.step == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        MultVAE(**settings).fit(rows, run=tmp_path, checkpoint_seconds=0, report=stop)
    resumed = MultVAE(**settings).fit(rows, run=tmp_path, resume=True)
    for name, array in whole.params.items():
        np.testing.assert_array_equal(array, resumed.params[name], err_msg=name)


def test_backends_sample_the_same():
    rows = _rows(np.random.default_rng(9), 80)
    one, other = (MultVAE(**NEGATIVES, backend=backend).fit(rows) for backend in ("numpy", "numba"))
    assert one.state.history[-1]["loss"] < one.state.history[0]["loss"]
    for name, array in one.params.items():
        np.testing.assert_allclose(array, other.params[name], rtol=0, atol=1e-4)


def test_so_many_negatives_that_nothing_is_left_to_chance():
    rows = _rows(np.random.default_rng(10), 80, density=0.3)
    losses = []
    for negatives in (0, 10**6):
        model = MultVAE(**NEGATIVES | {"negatives": negatives, "epochs": 1, "dropout": 0.0}).fit(rows)
        losses.append(model.state.history[0]["nll"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("shape", [(40,), (40, 3)])
def test_rows_that_catch_up_are_where_adam_would_have_them(backend, shape):
    rng = np.random.default_rng(13)
    twin, whole, start = load(backend), rng.standard_normal(shape), None
    lazy, state, adam = whole.copy(), ops.AdamState.zeros_like(whole), Adam(lr=0.01, ops=twin)
    for step in range(2000):
        rows = np.flatnonzero(rng.random(len(whole)) < 0.05)
        d_rows = rng.standard_normal((len(rows), *shape[1:]))
        ops.adam_step(whole, Lines(rows, d_rows).whole(shape), state, 0.01)
        adam.catch_up("w", lazy, rows)
        adam.step({"w": lazy}, {"w": Lines(rows, d_rows)})
        if step == 1500:  # the hats have stopped to change by much
            adam.catch_up("w", lazy)
            start, lazy[:] = whole.copy(), whole
    behind = np.abs(lazy - whole).max()
    adam.catch_up("w", lazy)
    np.testing.assert_allclose(adam.arrays()["m.w"], state.m, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(adam.arrays()["v.w"], state.v, rtol=1e-9, atol=1e-12)
    apart = np.abs(lazy - whole).max()
    assert apart < 0.01 * np.abs(whole - start).max()
    assert apart < behind / 5
    before = lazy.copy()
    adam.catch_up("w", lazy)  # nothing is missed twice
    np.testing.assert_array_equal(lazy, before)


def test_items_that_nobody_saw_stay_where_they_were():
    rows = _rows(np.random.default_rng(11), 16)
    model = MultVAE(**NEGATIVES | {"negatives": 1, "dropout": 0.0})
    model.start(rows)
    before = {name: array.copy() for name, array in model.params.items()}
    model.train_step(rows[:3], np.random.default_rng(0), 0)
    still = np.setdiff1d(np.arange(M), rows[:3].indices)
    assert np.array_equal(model.params["w_in"][still], before["w_in"][still])
    assert (model.params["w_out"][:, still] == before["w_out"][:, still]).all(axis=0).sum() >= still.size - 1
    seen = np.unique(rows[:3].indices)
    assert not (model.params["w_in"][seen] == before["w_in"][seen]).all(axis=1).any()


@pytest.mark.parametrize(
    "wrong", [{"likelihood": "bernoulli"}, {"optimizer": "sgd"}, {"l2": 0.1}, {"negatives": -1}]
)
def test_negatives_want_a_softmax_and_adam(wrong):
    with pytest.raises(InputError, match="negatives"):
        MultVAE(**{"negatives": 5} | wrong)


def test_clicks_are_counted_in_parts(monkeypatch):
    rows = _rows(np.random.default_rng(12), 50)
    monkeypatch.setattr(sampled, "_PART", 7)
    np.testing.assert_array_equal(sampled.popularity(rows), np.bincount(rows.indices, minlength=M))
