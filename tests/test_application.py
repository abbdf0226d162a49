"""The application: history, filters, cold people, and weights that validation users choose."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from minigen.application import filters, weights
from minigen.application.ranking import Application, model_vectors
from minigen.data import Events, HeldOut, Split, rebuy_split
from minigen.data.behaviours import beside, of_target
from minigen.data.events import weigh
from minigen.data.simulate import simulate
from minigen.errors import InputError
from minigen.ladder import BehaviourVAE
from minigen.recommender import EASE, MultVAE, Popularity
from minigen.recommender.combine import combine, generated
from minigen.recommender.lookup import history_of_items

N_ITEMS = 12


def rows(dense) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.asarray(dense, dtype=np.float32))


@pytest.fixture(scope="module")
def train() -> sparse.csr_matrix:
    """Two tastes of six items, and an item or two of the other."""
    rng = np.random.default_rng(3)
    dense = np.zeros((200, N_ITEMS))
    for row in dense:
        start = 6 * rng.integers(2)
        row[start + rng.choice(6, 4, replace=False)] = 1
        row[rng.integers(N_ITEMS)] = 1
    return rows(dense)


@pytest.fixture(scope="module")
def ease(train) -> EASE:
    return EASE(5.0).fit(train)


@pytest.fixture(scope="module")
def history(train) -> sparse.csr_matrix:
    return train[:20]


@pytest.fixture(scope="module")
def split(train) -> Split:
    items = [f"{n:03d}" for n in range(N_ITEMS)]
    names = {"000": "Red Bag", "001": "Blue Bag", "002": "red cup", "003": "Tin (large)"}
    held = HeldOut(train[:5], train[5:10], [f"u{n}" for n in range(5)])
    return Split("s", train, [f"t{n}" for n in range(200)], items, None, held, names)


def test_without_anything_it_is_the_model(ease, history):
    found, wanted = Application(ease).recommend(history, 5), ease.recommend(history, 5)
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_array_equal(found[1], wanted[1])
    again = Application(ease, repeat=None).recommend(history, 5)[0]
    np.testing.assert_array_equal(again, ease.recommend(history, 5, exclude_seen=False)[0])


def test_a_share_of_the_history_ranks_as_the_combination_does(ease, history):
    for share in (0.05, 0.4):
        wanted = np.argsort(-combine(generated(ease, history), history, share), axis=1, kind="stable")
        items, _ = Application(ease, repeat=share).recommend(history, N_ITEMS)
        np.testing.assert_array_equal(items, wanted)


def test_old_items_alone_end_where_the_history_ends(ease, history):
    items, _ = Application(ease, repeat=1.0).recommend(history, N_ITEMS)
    for row, old in zip(items, history):
        assert set(row[row >= 0]) == set(old.indices)


def test_scores_on_any_scale_are_ranked_at_no_share(train):
    """A softmax of counts would be 0 for all but one."""
    model = Popularity().fit(train * 1000)
    model.params["count"] *= 1000
    items, _ = Application(model).recommend(train[:3], 3)
    np.testing.assert_array_equal(items, model.recommend(train[:3], 3)[0])


def test_only_what_is_allowed_is_shown(ease, history):
    allowed = np.zeros(N_ITEMS, dtype=bool)
    allowed[[0, 7, 8]] = True
    for application in (Application(ease), Application(ease, repeat=0.5), Application(ease, repeat=None)):
        items, scores = application.recommend(history, 4, allowed)
        assert set(items.ravel()) <= {-1, 0, 7, 8}
        assert np.all(np.isneginf(scores[items < 0]))
    full, _ = Application(ease).recommend(history, N_ITEMS)
    for row, listed in zip(full, Application(ease).recommend(history, 4, allowed)[0]):
        wanted = [i for i in row if i in (0, 7, 8)]
        assert list(listed[: len(wanted)]) == wanted  # in the model's order


def test_people_of_whom_nothing_is_known(ease, train):
    nobody = rows(np.vstack([np.zeros(N_ITEMS), train[0].toarray()]))
    with pytest.raises(InputError, match="history 0 is empty"):
        Application(ease).recommend(nobody)
    cold = np.linspace(0, 1, N_ITEMS)
    items, _ = Application(ease, cold=cold).recommend(nobody, 3)
    np.testing.assert_array_equal(items[0], [11, 10, 9])
    np.testing.assert_array_equal(items[1], ease.recommend(train[:1], 3)[0][0])


def test_refuses_what_it_cannot_answer(ease, history):
    with pytest.raises(InputError, match="want 1 to 12"):
        Application(ease).recommend(history, 13)
    with pytest.raises(InputError, match="have 5 items, the model 12"):
        Application(ease).recommend(rows(np.ones((1, 5))))
    with pytest.raises(ValueError, match="vectors"):
        Application(ease, diversity=0.5)


def test_names_and_availability(split):
    np.testing.assert_array_equal(np.flatnonzero(filters.named(split, "RED|tin")), [0, 2, 3])
    np.testing.assert_array_equal(np.flatnonzero(filters.named(split, "^00[45]$")), [4, 5])  # ids stand in
    with pytest.raises(InputError, match=r"'\(' is no regular expression"):
        filters.named(split, "(")
    mask, strange = filters.available(split, ["blue bag", "003", "Green Bag"])
    assert (np.flatnonzero(~mask).tolist(), strange) == ([1, 3], 1)


def test_items_of_several_behaviours_are_met_by_their_own_ids_and_names(split, tmp_path):
    known = replace(split, test=replace(split.test, users=split.train_users[:5]))
    several = beside(known, "buy", {"view": split.train})
    n = len(split.items)
    for pattern in ("^red", "^00[45]$"):
        np.testing.assert_array_equal(
            filters.named(several, pattern), np.tile(filters.named(split, pattern), 2)
        )
    mask, strange = filters.available(several, ["blue bag", "003", "view:004", "Green Bag"])
    assert (np.flatnonzero(~mask).tolist(), strange) == ([1, 3, 4, n + 1, n + 3, n + 4], 1)
    table = tmp_path / "items.csv"
    table.write_text("item,category\n000,bags\nbuy:002,bags\n")
    mask = filters.where(several, table, ["category=bags"])
    assert np.flatnonzero(mask).tolist() == [0, n, n + 2]
    history = history_of_items(several, ["view:001", "view: Red Bag", "003", "blue bag", "buy:004"])
    assert history.indices.tolist() == [0, 1, n + 1, n + 3, n + 4]
    assert (of_target(several).items, of_target(several).item_names) == (split.items, split.item_names)


def test_lists_and_tables(split, tmp_path):
    (tmp_path / "out.txt").write_text("003\n\n  Blue Bag \n")
    assert filters.read_list(tmp_path / "out.txt") == ["003", "Blue Bag"]
    with pytest.raises(InputError, match="No such file"):
        filters.read_list(tmp_path / "absent.txt")
    (tmp_path / "latin.txt").write_bytes("Café Mug".encode("latin-1"))
    with pytest.raises(InputError, match="no text in UTF-8"):
        filters.read_list(tmp_path / "latin.txt")
    table = tmp_path / "items.csv"
    table.write_text("item,category,stock\n000,Bags,3\n001,bags,0\n002,Cups,3\n999,bags,3\n")
    np.testing.assert_array_equal(np.flatnonzero(filters.where(split, table, ["category=bags"])), [0, 1])
    both = filters.where(split, table, ["category=bags", "stock=3"])
    np.testing.assert_array_equal(np.flatnonzero(both), [0])
    (tmp_path / "items.jsonl").write_text('{"sku": "002", "kind": "cup"}\n{"sku": "003", "kind": "tin"}\n')
    np.testing.assert_array_equal(
        np.flatnonzero(filters.where(split, tmp_path / "items.jsonl", ["kind=tin"])), [3]
    )
    with pytest.raises(InputError, match="has no column 'colour'; it has item, category, stock"):
        filters.where(split, table, ["colour=red"])
    with pytest.raises(InputError, match="want COLUMN=VALUE, got 'category'"):
        filters.where(split, table, ["category"])


def test_the_share_is_what_validation_users_show(ease, train):
    """Targets among what was had before want the history; new ones do not."""
    fold_in, target = train[:40].copy(), train[:40].copy()
    old = weights.best(weights.repeat_trials(ease, HeldOut(fold_in, target, []), 3))
    assert old.value > 0
    rest = sparse.lil_matrix(fold_in.shape, dtype=np.float32)
    shown = fold_in.tolil()
    for user in range(40):
        item = fold_in[user].indices[0]
        shown[user, item], rest[user, item] = 0, 1
    new = weights.best(weights.repeat_trials(ease, HeldOut(shown.tocsr(), rest.tocsr(), []), 3))
    assert new.value == 0


def test_strangers_get_the_answer_that_finds_more(train):
    model = MultVAE(hidden=8, latent=3, epochs=3, batch=50).fit(train)
    held = HeldOut(train[:30], train[30:60], [str(n) for n in range(30)])
    found = weights.cold_answers(model, train, held, "ndcg@5")
    assert {answer.source for answer in found} == {"popularity", "prior"}
    assert found[0].evaluation.mean("ndcg@5") >= found[1].evaluation.mean("ndcg@5")
    for answer in found:
        assert answer.behaviour.sum() == pytest.approx(1, rel=1e-5)
    (only,) = weights.cold_answers(EASE().fit(train), train, held, "ndcg@5")
    np.testing.assert_allclose(only.behaviour, np.asarray(train.sum(axis=0))[0] / train.sum(), rtol=1e-6)


def test_strangers_are_told_of_the_last_behaviour_alone(train):
    """What most people look at is not what they buy, and a model of the target alone gets the same."""
    views = rows(np.tile(np.arange(N_ITEMS) > 5, (200, 1)))
    both = sparse.csr_matrix(sparse.hstack([views, train], format="csr"))
    model = BehaviourVAE(hidden=8, latent=3, epochs=3, batch=50, behaviours="view,buy").fit(both)
    held, alone = (HeldOut(x[:30], x[30:60], [str(n) for n in range(30)]) for x in (both, train))
    found = {cold.source: cold for cold in weights.cold_answers(model, both, held, "ndcg@5", N_ITEMS)}
    assert set(found) == {"popularity", "prior"}
    for cold in found.values():
        assert cold.behaviour.shape == (2 * N_ITEMS,)
        assert np.isneginf(cold.behaviour[:N_ITEMS]).all()
    (only,) = weights.cold_answers(EASE().fit(train), train, alone, "ndcg@5")
    np.testing.assert_array_equal(found["popularity"].behaviour[N_ITEMS:], only.behaviour)
    assert found["popularity"].evaluation.mean("ndcg@5") == only.evaluation.mean("ndcg@5")


def test_the_rebuy_split_shows_counts_and_hides_a_window():
    start = datetime(2011, 1, 1, tzinfo=UTC)
    met = [("a", "x", 0), ("a", "x", 1), ("b", "y", 2), ("a", "y", 3), ("b", "x", 4), ("b", "y", 5)]
    met += [("a", "x", 6), ("b", "z", 6), ("b", "y", 8), ("c", "x", 8), ("a", "y", 9), ("a", "y", 9)]
    frame = pl.DataFrame(
        {"user": [m[0] for m in met], "item": [m[1] for m in met],
         "time": [start + timedelta(days=m[2]) for m in met]}
    )  # fmt: skip
    split = rebuy_split(Events(frame.lazy(), "events"), share=0.2)  # 11 distinct events: cuts at 6 and 8
    assert (split.train_users, split.items) == (["a", "b"], ["x", "y"])  # z and c have no past
    np.testing.assert_array_equal(split.train.toarray(), [[1, 1], [1, 1]])
    np.testing.assert_array_equal(split.validation.fold_in.toarray(), [[2, 1]])
    np.testing.assert_array_equal(split.validation.target.toarray(), [[1, 0]])
    assert split.test.users == ["a", "b"]
    np.testing.assert_array_equal(split.test.fold_in.toarray(), [[3, 1], [1, 2]])
    np.testing.assert_array_equal(split.test.target.toarray(), [[0, 1], [0, 1]])
    with pytest.raises(InputError, match="share"):
        rebuy_split(Events(frame.lazy(), "events"), share=0.5)


def test_the_rebuy_split_looks_for_nothing_of_weight_0():
    events, _ = simulate(80, 20, seed=4, views_per_user=20)
    counted = Events(events.frame.filter(pl.col("behaviour") != "view"), "shop")
    split = rebuy_split(weigh(events, {"view": 0, "cart": 1, "purchase": 1}))
    assert split.hash == rebuy_split(counted).hash


def test_vectors_of_a_model_have_length_1(train, ease):
    model = MultVAE(hidden=8, latent=3, epochs=1, batch=50).fit(train)
    codes = model_vectors(model, train)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, rtol=1e-5)
    buyers = model_vectors(ease, train)
    both = (train[:, 0].toarray() * train[:, 1].toarray()).sum()
    counts = np.asarray(train.sum(axis=0))[0]
    assert (buyers[0] @ buyers[1].T)[0, 0] == pytest.approx(both / np.sqrt(counts[0] * counts[1]), rel=1e-5)
