"""Models before a fit, without noise or gains, of another class; choices in which every setting fails."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from test_behaviours import ITEMS, SMALL, actions
from test_tuning import clock, contest, outcomes, seen  # noqa: F401

from minigen.application.uncertainty import spread_by_length
from minigen.data.behaviour_split import behaviour_split
from minigen.data.simulate import simulate
from minigen.errors import InputError
from minigen.ladder import CFGAN, MODELS, BehaviourVAE, ItemKNN
from minigen.ladder import blocks as room
from minigen.recommender import EASE, MultVAE, Popularity
from minigen.recommender.baselines import gram
from minigen.recommender.runs import merged_training
from minigen.reproduce import behaviours as table
from minigen.reproduce import iwae_mnist
from minigen.synthetic.users import sample_users


@pytest.mark.parametrize("kind", [BehaviourVAE, CFGAN])
def test_a_model_without_a_fit_has_no_items_and_says_so(kind):
    assert kind().n_items == 0
    with pytest.raises(InputError, match=f"{kind.id} has learnt nothing yet: call fit or load first"):
        kind().recommend(actions(2))


def test_a_run_of_another_model_is_refused_by_its_name(tmp_path):
    Popularity().fit(actions()).save(tmp_path / "run")
    with pytest.raises(InputError, match="run holds the model 'popularity', not 'ease'"):
        EASE.load(tmp_path / "run")


@pytest.mark.parametrize("n_rows", [12, 30])  # as many people as items, or not
def test_rows_that_lie_by_columns_are_the_same_rows(n_rows, rng):
    rows = sparse.csr_matrix(rng.random((n_rows, 12)) < 0.3, dtype=np.float32)
    rows = rows[np.flatnonzero(np.diff(rows.indptr))]
    for model in (Popularity(), EASE()):
        fitted, other = type(model)().fit(rows), type(model)().fit(rows.tocsc())
        for name, array in fitted.params.items():
            np.testing.assert_array_equal(other.params[name], array)
        np.testing.assert_array_equal(fitted.recommend(rows.tocsc(), 3), fitted.recommend(rows, 3))


def test_many_small_clicks_add_up():
    """2 million people of 0.1: in float32 their squares add up to 19630.8."""
    rows = sparse.csr_matrix(np.full((2_000_000, 2), 0.1, np.float32))
    np.testing.assert_allclose(gram(rows, np.float64), 20_000, rtol=1e-6)
    assert gram(rows[:9], np.float32).dtype == np.float32
    alike = ItemKNN(shrink=0.0).fit(rows).weights.toarray()
    np.testing.assert_allclose(alike, [[0, 1], [1, 0]], rtol=1e-6)


def test_a_code_without_noise_costs_no_divergence():
    logged: list[dict] = []
    settings = SMALL | {"stochastic": False, "dropout": 0.0, "epochs": 8}
    model = BehaviourVAE(**settings).fit(actions(), report=lambda state, row: logged.append(dict(row)))
    epochs = [row for row in logged if "epoch" in row]
    assert [row["kl"] for row in epochs] == [0.0] * 8
    assert epochs[-1]["nll"] < epochs[0]["nll"]
    assert "w_log_var" not in model.params
    mean, log_var = model.posterior(actions(5))
    assert (mean.shape, log_var) == ((5, 5), None)
    plain = {name: value for name, value in settings.items() if name != "behaviours"}
    rows = actions()[:, :ITEMS]
    one, two = (kind(**plain).fit(rows) for kind in (MultVAE, BehaviourVAE))
    np.testing.assert_allclose(two.score(rows), one.score(rows), rtol=1e-4, atol=1e-5)


def test_reasons_come_from_the_lift_only_where_there_is_one():
    lifted, fresh = (BehaviourVAE(**SMALL | {"epochs": 1, "fresh": fresh}).fit(actions()) for fresh in (0, 1))
    fresh.params = dict(lifted.params)
    x, d_scores = actions(4, seed=3), np.random.default_rng(1).standard_normal((4, 3 * ITEMS))
    without = lifted.click_gradient(x, d_scores.astype(np.float32))  # no gain has been learnt yet
    lifted.params["gain"] = fresh.params["gain"] = np.array([2, 3], np.float32)
    np.testing.assert_array_equal(fresh.click_gradient(x, d_scores.astype(np.float32)).data, without.data)
    more = lifted.click_gradient(x, d_scores.astype(np.float32)) - without
    wanted = np.repeat([2, 3, 0], ITEMS) * np.tile(d_scores[:, -ITEMS:], 3)
    np.testing.assert_allclose(more.toarray(), x.toarray().astype(bool) * wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fresh", [False, True])
def test_what_a_model_rules_out_adds_nothing_to_its_doubt(fresh):
    model = BehaviourVAE(**SMALL | {"epochs": 2, "fresh": fresh}).fit(actions())
    assert np.isneginf(model.score(actions(3))).any()
    (spread,) = spread_by_length(model, actions(), (2,))
    assert np.isfinite(spread.nats).all()
    assert spread.nats.mean() > 0


def test_nobody_has_no_gains_and_a_step_goes_no_further_than_its_bound(monkeypatch):
    assert room.best_gains([], 2).tolist() == [0, 0]
    viewed = sparse.csr_matrix(np.tile(np.float32([1, 0, 0, 0, 0, 0]), (500, 1)))
    bought = sparse.csr_matrix(np.tile(np.float32([0, 0, 0, 1, 0, 0]), (500, 1)))
    part = np.zeros((500, 3), np.float32), viewed, bought
    (far,) = room.best_gains([part], 1)
    assert far > 8  # everybody buys what they have viewed
    monkeypatch.setattr(room, "_STEPS", 1)
    assert room.best_gains([part], 1) == pytest.approx([2.0])


def test_people_are_made_up_only_of_behaviours_that_have_a_head(rng):
    split = behaviour_split(simulate(80, 20, seed=4, views_per_user=20)[0], "purchase", "weak", seed=1)
    settings = SMALL | {"behaviours": ",".join(split.behaviours), "epochs": 1}
    model = BehaviourVAE(**settings, weights="0.1,0,1").fit(split.train)
    with pytest.raises(
        InputError, match="behaviour-vae has no head for some behaviour: train it with weights"
    ):
        sample_users(model, split, 5, rng)
    whole = BehaviourVAE(**settings).fit(split.train)
    assert sample_users(whole, split, 5, rng).rows.shape == (5, split.train.shape[1])


def test_without_validation_people_there_is_nothing_to_put_back():
    split = behaviour_split(simulate(80, 20, seed=4, views_per_user=20)[0], "purchase", "weak", seed=1)
    alone = replace(split, validation=None)
    assert merged_training(alone) is alone


def experiment(folder, n_items, seed=1):
    split = behaviour_split(simulate(120, n_items, seed, views_per_user=25)[0], "purchase", "weak")
    settings = {"seed": 0, "hidden": 0, "latent": 4, "epochs": 1, "batch": 40}
    return table.Experiment(split, folder, settings, [""], False, lambda *_: nullcontext())


def test_a_table_of_a_shop_that_is_smaller_than_its_lists_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^ndcg@100: the catalogue has 20 items$"):
        experiment(tmp_path, 20)


def test_a_row_of_a_table_of_which_every_setting_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("minigen.recommender.baselines._available_memory", lambda: 10_000)
    one = experiment(tmp_path, 110)
    ease = next(variant for variant in one.variants if variant.kind is EASE)
    with pytest.raises(InputError, match=r"^ease, target alone: EASE on 110 items needs .* are free"):
        one._row(ease)


def test_batches_without_anybody_of_a_part_change_no_figure(tmp_path, monkeypatch):
    one = experiment(tmp_path, 150)
    funnel = next(variant for variant in one.variants if variant.kind is table.Funnel)
    model = table.Funnel(**funnel.tried[0]).fit(one.split.train)
    held = one.split.test
    some = np.arange(len(held.users)) % 3 == 0
    few = sparse.csr_matrix(sparse.diags(some.astype(np.float32)) @ held.target)
    few.eliminate_zeros()
    parts = {"all": held, "few": replace(held, target=few)}
    whole = one._measure(model, funnel, parts, ("ndcg@20",))
    assert (len(whole["all"]["ndcg@20"]), len(whole["few"]["ndcg@20"])) == (some.size, some.sum())
    monkeypatch.setattr(table, "_BATCH", 1)
    apart = one._measure(model, funnel, parts, ("ndcg@20",))
    np.testing.assert_array_equal(apart["all"]["ndcg@20"], whole["all"]["ndcg@20"])
    np.testing.assert_array_equal(apart["few"]["ndcg@20"], whole["all"]["ndcg@20"][some])
    slope = model.click_gradient(held.fold_in, model.score(held.fold_in))
    assert not slope.data.any()  # a rule has none


def test_a_contest_keeps_what_was_best_before_all_went_wrong(seen, clock, tmp_path, monkeypatch):  # noqa: F811
    right = MODELS["mult-vae"].fit

    def fit(model, *args, until=None, **kwargs):
        if until > 2:
            raise InputError("the loss is no number")
        return right(model, *args, until=until, **kwargs)

    monkeypatch.setattr(MODELS["mult-vae"], "fit", fit)
    one = contest(seen, tmp_path, ("mult-vae",))
    found = outcomes(one)["mult-vae"]
    failed = [trial for trial in found.trials if "error" in trial]
    assert {trial["error"] for trial in failed} == {"the loss is no number"}
    best = found.trials[found.best]
    assert max(map(int, best["scores"])) <= 2
    assert one.fitted(MODELS["mult-vae"], found).n_items == seen.train.shape[1]
    assert json.loads((tmp_path / "mult-vae" / f"trial-{found.best}.json").read_text())["scores"]


def test_only_mnist_is_taken_for_mnist(monkeypatch):
    few = SimpleNamespace(train=np.zeros((200, 28, 28), np.uint8), test=np.zeros((9, 28, 28), np.uint8))
    monkeypatch.setattr(iwae_mnist, "read_images", lambda folder: few)
    with pytest.raises(InputError, match=r"here: want the 60,000 training images of MNIST, got \(200, 28"):
        iwae_mnist.training_images("here")
    number = np.arange(60_000, dtype=np.uint16)[:, None, None]
    few.train = np.lib.stride_tricks.as_strided(number, (60_000, 28, 28), (2, 0, 0))
    train, test = iwae_mnist.training_images("here")
    assert test is few.test
    assert (len(train), len(np.unique(train[:, 0, 0]))) == (59_600, 59_600)
