"""Sampled softmax and the Adam of some rows: where they equal the whole, and what they estimate."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random

from minigen.errors import InputError
from minigen.gradcheck.differences import five_point
from minigen.ops import AdamState, adam_rows_step
from minigen.ops.sparse import Lines
from minigen.recommender import MultVAE, autoencoder, sampled
from minigen.recommender.autoencoder import Form
from minigen.recommender.sampled import Proposal, give, take

M, B, Z = 40, 6, 3


def _rows(rng, n_users=B, n_items=M, density=0.15):
    return csr_matrix(random(n_users, n_items, density, random_state=rng, dtype=np.float64))


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
    for power in (400.0, -400.0):  # beyond float64, and nothing at all
        with pytest.raises(ValueError, match="power"):
            Proposal(np.full(3, 9), power)


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


def test_rows_of_adam_stay_within_the_weights_and_flush_what_is_too_small():
    state = AdamState.zeros_like(np.ones((3, 2)))
    for rows in ([0, 1, 3], [-1, 0, 1], [1, 1, 2], [2, 1, 0]):
        with pytest.raises(ValueError, match="rows: want each once, ascending, of 0 to 2"):
            adam_rows_step(np.ones((3, 2)), np.array(rows), np.ones((3, 2)), state)
    state.m[:], state.v[:] = 1e-31, 1e-31
    adam_rows_step(np.ones((3, 2)), np.array([1]), np.zeros((1, 2)), state)
    assert not state.m[1].any()
    assert not state.v[1].any()
    assert state.m[0].all()


def test_clicks_are_counted_in_parts(monkeypatch):
    rows = _rows(np.random.default_rng(12), 50)
    monkeypatch.setattr(sampled, "_PART", 7)
    np.testing.assert_array_equal(sampled.popularity(rows), np.bincount(rows.indices, minlength=M))


def test_the_biases_of_a_small_catalogue_carry_what_its_draws_stand_for():
    rng = np.random.default_rng(14)
    _, params, x, _, _ = _problem(rng, 0)
    drawn = Proposal(np.bincount(x.indices, minlength=M)).draw(x[:1], 7, rng)
    carried = take(params, drawn)["b_out"] - params["b_out"][drawn.items]
    np.testing.assert_allclose(carried, drawn.log_weight, rtol=0, atol=1e-12)
    assert np.count_nonzero(np.abs(carried) > 0.1) > 0
