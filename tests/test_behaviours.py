"""Several behaviours in one model: blocks in, heads out, weights, and what it learns and refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse
from test_training import StopError, stop_at

from minigen.data.behaviour_split import behaviour_split
from minigen.data.behaviours import of_target
from minigen.data.simulate import simulate
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.gradcheck.differences import five_point
from minigen.ladder import BehaviourVAE, load_model
from minigen.ladder import behaviours_model as room
from minigen.ladder.blocks import blocks, hide_touched
from minigen.ops.sparse import row_of_each, with_data
from minigen.recommender import MultVAE
from minigen.recommender.explain import because

NAMES, ITEMS = ("view", "cart", "buy"), 8
SMALL = {"hidden": 12, "latent": 5, "batch": 20, "epochs": 4, "patience": 0, "behaviours": "view,cart,buy"}


def actions(n_users: int = 50, seed: int = 0) -> sparse.csr_matrix:
    """Views of one half of the items, of which some go into the cart and some of these are bought."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n_users, len(NAMES), ITEMS), np.float32)
    half = ITEMS // 2 * rng.integers(2, size=n_users)
    for row, start in zip(x, half):
        row[0, start + rng.choice(ITEMS // 2, 3, replace=False)] = 1
        row[1] = row[0] * (rng.random(ITEMS) < 0.7)
        row[2] = row[1] * (rng.random(ITEMS) < 0.7)
    return sparse.csr_matrix(x.reshape(n_users, -1))


def test_blocks_are_rows_of_their_own_and_keep_the_order_of_values():
    x = actions(7)
    x.data[:] = np.arange(x.nnz)
    split = blocks(x, 3)
    np.testing.assert_array_equal(split.toarray(), x.toarray().reshape(21, ITEMS))
    assert np.shares_memory(split.data, x.data)
    assert split.has_canonical_format
    assert blocks(x, 1).nnz == x.nnz


def test_a_rare_behaviour_is_as_loud_as_a_frequent_one(rng):
    channels = BehaviourVAE(**SMALL | {"hidden": 0}).config.channels
    params = room.init_params(3 * ITEMS, 0, 5, channels, rng)
    params["b_mu"][:] = 0
    views = np.zeros((1, 24), np.float32)
    views[0, :6] = 1
    both = views.copy()
    both[0, 17] = 1  # one purchase beside six views
    one, two = (room.encode(params, sparse.csr_matrix(x), channels)[0] for x in (views, both))
    np.testing.assert_allclose(two - one, params["w_mu"][17:18], rtol=1e-5)
    nothing = sparse.csr_matrix((1, 24), dtype=np.float32)
    np.testing.assert_array_equal(room.encode(params, nothing, channels)[0], np.zeros((1, 5)))


def test_weights_of_equal_costs_are_the_minimum_with_product_1(rng):
    costs = [400.0, 96.0, 48.0]
    total, weights = room.weigh(costs, [])
    assert math.prod(weights) == pytest.approx(1)
    assert np.multiply(weights, costs) == pytest.approx([total / 3] * 3)
    for _ in range(100):
        other = np.exp(rng.standard_normal(3))
        assert other @ costs / np.prod(other) ** (1 / 3) >= total
    assert room.weigh([2.0, 0.0, 8.0], []) == (8.0, [2.0, 0.0, 0.5])  # nobody has the second
    assert room.weigh([0.0], []) == (1.0 * 0, [0.0])
    assert room.weigh([2.0, 3.0], [0.5, 2.0]) == (7.0, [0.5, 2.0])


def test_with_one_behaviour_it_is_mult_vae():
    rows = actions()[:, :ITEMS]
    settings = {k: v for k, v in SMALL.items() if k != "behaviours"} | {"epochs": 3}
    one, two = (kind(**settings).fit(rows) for kind in (MultVAE, BehaviourVAE))
    assert set(one.params) == set(two.params)
    np.testing.assert_allclose(two.score(rows), one.score(rows), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weights", ["", "0.2,0,1"])
@pytest.mark.parametrize("hidden", [12, 0])
def test_only_the_last_behaviour_is_recommended_and_only_bought_items_are_hidden(weights, hidden):
    model = BehaviourVAE(**SMALL | {"weights": weights, "hidden": hidden}).fit(actions())
    rows = actions(5, seed=3)
    items, _ = model.recommend(rows, k=ITEMS)
    viewed = 0
    for row, found in zip(rows.toarray(), items):
        bought = {16 + n for n in np.flatnonzero(row[16:])}
        assert set(found[found >= 0]) == set(range(16, 24)) - bought
        viewed += np.isin(found - 16, np.flatnonzero(row[:8])).sum()
    assert viewed  # and recommended all the same
    assert np.isneginf(model.score(rows)[:, :16]).all()
    assert ("w_out.cart" in model.params) is (weights == "")


def test_a_user_without_some_behaviour_is_served_from_the_others():
    settings = SMALL | {"epochs": 60, "dropout": 0.3, "lr": 5e-3}
    model = BehaviourVAE(**settings).fit(actions(300))
    for start in (0, 4):
        views = np.zeros((1, 24), np.float32)
        views[0, start : start + 2] = 1
        items, _ = model.recommend(sparse.csr_matrix(views), k=4)
        assert set(items[0] - 16) == set(range(start, start + 4))
        (reasons,) = because(model, sparse.csr_matrix(views), items[0, :1])
        assert {click for click, _ in reasons} <= {start, start + 1}


@pytest.mark.parametrize(("kind", "unseen"), [("time", False), ("weak", True)])
def test_views_help_to_find_purchases(kind, unseen):
    events, _ = simulate(600, 60, seed=2, views_per_user=20)
    split = behaviour_split(events, "purchase", kind, unseen=unseen)
    settings = {"hidden": 0, "latent": 12, "epochs": 60, "batch": 100, "lr": 5e-3, "beta": 0.1}
    names = ",".join(split.behaviours)
    together = BehaviourVAE(**settings, behaviours=names, weights="0.3,0.3,1", fresh=unseen)
    alone = of_target(split)
    separate = MultVAE(**settings).fit(alone.train, alone.validation)

    class Separate:
        def score(self, histories):
            scores = np.full(histories.shape, -np.inf, np.float32)
            scores[:, -60:] = separate.score(histories[:, -60:])
            return hide_touched(scores, histories, 60) if unseen else scores

    one, two = (
        evaluate(model, split.test, ("ndcg@20",)).mean("ndcg@20")
        for model in (together.fit(split.train, split.validation), Separate())
    )
    assert one > 1.1 * two


def test_fresh_hides_what_was_touched_in_any_way():
    model = BehaviourVAE(**SMALL | {"epochs": 1, "fresh": True}).fit(actions())
    rows = actions(5, seed=3)
    items, _ = model.recommend(rows, k=ITEMS)
    for row, found in zip(rows.toarray(), items):
        touched = row.reshape(3, ITEMS).any(axis=0)
        assert set(found[found >= 0] - 16) == set(np.flatnonzero(~touched))


@pytest.mark.parametrize("hidden", [12, 0])
def test_click_gradient_is_the_derivative_of_the_scores(hidden, rng):
    model = BehaviourVAE(**SMALL | {"epochs": 1, "hidden": hidden}).fit(actions())
    model.params = {name: array.astype(float) for name, array in model.params.items()}
    model.params["gain"] = rng.standard_normal(2)
    rows, channels = actions(4, seed=3).astype(float), model.config.channels
    d_scores = rng.standard_normal((4, 24))

    def scores(data):
        x = with_data(rows, data)
        mu, _, _ = room.encode(model.params, x, channels)
        scores, _ = room.score(model.params, mu, channels, 2)
        clicks = data.reshape(-1)
        block, item = np.divmod(rows.indices, ITEMS)
        np.add.at(scores, (row_of_each(rows), item), np.append(model.params["gain"], 0)[block] * clicks)
        return scores

    wanted = five_point(scores, rows.data, d_scores[:, 16:])
    found = model.click_gradient(rows, d_scores).data
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("step", [1, 5, 12])
def test_resume_after_a_stop_ends_in_the_same_bytes(step, tmp_path):
    whole = BehaviourVAE(**SMALL).fit(actions(), run=tmp_path / "whole")
    with pytest.raises(StopError):
        BehaviourVAE(**SMALL).fit(actions(), run=tmp_path / "cut", checkpoint_seconds=0, report=stop_at(step))
    resumed = BehaviourVAE(**SMALL).fit(actions(), run=tmp_path / "cut", resume=True)
    assert {n: a.tobytes() for n, a in resumed.params.items()} == {
        n: a.tobytes() for n, a in whole.params.items()
    }
    np.testing.assert_array_equal(load_model(tmp_path / "cut").score(actions()), whole.score(actions()))


def test_numba_learns_the_same():
    one, two = (BehaviourVAE(**SMALL, backend=name).fit(actions()) for name in ("numpy", "numba"))
    np.testing.assert_allclose(*(model.score(actions())[:, 16:] for model in (one, two)), atol=1e-3)


def test_damaged_arrays_are_refused(tmp_path):
    model = BehaviourVAE(**SMALL | {"epochs": 1}).fit(actions())
    model.params["w_out.view"] = model.params["w_out.view"][:, 1:]
    model.save(tmp_path / "run")
    with pytest.raises(InputError, match="no complete behaviour-vae model: the arrays have other names"):
        load_model(tmp_path / "run")


@pytest.mark.parametrize(
    "settings",
    [
        {"behaviours": "view,view"},
        {"behaviours": "view,,buy"},
        {"behaviours": "view,buy", "weights": "1"},
        {"behaviours": "view,buy", "weights": "1,0"},
        {"behaviours": "view,buy", "weights": "-1,1"},
        {"behaviours": "view,buy", "weights": "nan,1"},
        {"behaviours": "view,buy", "weights": "much,1"},
        {"behaviours": "view,buy", "gains": "1,2"},
        {"behaviours": "view,buy", "gains": "much"},
        {"behaviours": "view,buy", "gains": "inf"},
        {"behaviours": "view,buy", "fresh": True, "gains": "1"},
        {"gains": "1"},
        {"likelihood": "bernoulli"},
        {"l2": 0.1},
        {"negatives": 5},
        {"normalise": False},
        {"backend": "cuda"},
    ],
)
def test_a_bad_setting_is_named(settings):
    with pytest.raises(InputError, match=list(settings)[-1]) as error:
        BehaviourVAE(**settings)
    assert "\n" not in str(error.value)


def test_columns_that_are_no_blocks_are_refused():
    with pytest.raises(InputError, match="23 columns are no blocks of view,cart,buy"):
        BehaviourVAE(**SMALL).fit(actions()[:, :23])
