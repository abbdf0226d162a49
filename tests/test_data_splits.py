"""Splits do not leak, and are a function of their seed; simulated truth is the best recommender."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_sparse

from minigen.data import (
    Events,
    Interactions,
    fixed_split,
    strong_split,
    time_split,
    to_interactions,
    validation_cut,
    weak_split,
    weigh,
)
from minigen.data.simulate import simulate
from minigen.data.splits import held_out_counts
from minigen.errors import InputError


def interactions(seed=0, users=60, items=25, density=0.25):
    matrix = random_sparse(users, items, density, format="csr", dtype=np.float32, random_state=seed)
    return Interactions(
        matrix, [f"u{n}" for n in range(users)], [f"i{n}" for n in range(items)], {"i3": "three"}
    )


def pairs_of(matrix, users, items):
    rows, columns = matrix.nonzero()
    return {(users[row], items[column]) for row, column in zip(rows, columns)}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.5, 0.8, 0.9]))
def test_strong_split_holds_users_and_targets_apart(seed, fold_in):
    whole = interactions(seed)
    split = strong_split(whole, 8, 9, seed, fold_in)
    groups = [set(split.train_users), set(split.validation.users), set(split.test.users)]
    assert sum(map(len, groups)) == len(set.union(*groups))
    everything = pairs_of(whole.matrix, whole.users, whole.items)
    assert pairs_of(split.train, split.train_users, split.items) <= everything
    assert np.diff(split.train.tocsc().indptr).min() >= 1  # every item is known to training
    for part in (split.validation, split.test):
        assert part.fold_in.multiply(part.target).nnz == 0
        assert min(np.diff(part.fold_in.indptr).min(), np.diff(part.target.indptr).min()) >= 1
        sizes = np.diff(part.fold_in.indptr) + np.diff(part.target.indptr)
        np.testing.assert_array_equal(np.diff(part.target.indptr), held_out_counts(sizes, 1 - fold_in))
        shown = pairs_of(part.fold_in + part.target, part.users, split.items)
        assert shown == {(u, i) for u, i in everything if u in part.users and i in split.items}
    assert set(split.train.data) == {1.0}


def test_floor_is_of_the_number_written():
    np.testing.assert_array_equal(
        held_out_counts(np.array([1, 2, 5, 9, 10, 15]), 1 - 0.8), [0, 1, 1, 1, 2, 3]
    )


def test_same_seed_same_hash_other_seed_other_hash():
    whole = interactions()
    for make in (lambda seed: strong_split(whole, 8, 9, seed), lambda seed: weak_split(whole, seed=seed)):
        assert make(1).hash == make(1).hash
        assert make(1).hash != make(2).hash
    assert strong_split(whole, 8, 9, 1).test.users != strong_split(whole, 8, 9, 2).test.users
    assert whole.matrix.nnz == interactions().matrix.nnz  # the input is as it was
    assert np.ptp(whole.matrix.data) > 0


def test_items_that_only_held_out_users_have_are_dropped_and_single_item_users_train():
    matrix = np.zeros((40, 4), np.float32)
    matrix[:, :2] = 1
    matrix[0] = [1, 0, 0, 0]
    matrix[1:, 2] = np.arange(39) == 3  # one user alone has item 2
    whole = Interactions(csr_matrix(matrix), [str(n) for n in range(40)], list("abcd"))
    split = strong_split(whole, 18, 19, 0)
    assert "0" in split.train_users
    assert "d" not in split.items
    assert split.train.shape[1] == split.test.target.shape[1] == len(split.items)


def test_weak_split_cuts_every_user():
    whole = interactions(density=0.4)
    split = weak_split(whole, 0.25, seed=0)
    everything = pairs_of(whole.matrix, whole.users, whole.items)
    train = pairs_of(split.train, split.train_users, split.items)
    validation = pairs_of(split.validation.target, split.validation.users, split.items)
    test = pairs_of(split.test.target, split.test.users, split.items)
    assert train | validation | test == everything
    assert len(train) + len(validation) + len(test) == len(everything)
    # The validation shows train alone, the test train and validation.
    assert pairs_of(split.validation.fold_in, split.validation.users, split.items) <= train
    assert pairs_of(split.test.fold_in, split.test.users, split.items) <= train | validation
    assert len(test) == held_out_counts(np.diff(whole.matrix.indptr), 0.25).sum()


def test_validation_cut_and_fixed_split():
    whole = interactions().matrix
    rest, held = validation_cut(whole, 0.2, seed=3)
    assert rest.nnz + held.target.nnz == whole.nnz
    split = fixed_split(rest, whole - rest, "published")
    assert split.test.users == held.users
    assert split.validation is None
    assert (split.test.fold_in != held.fold_in).nnz == 0
    with pytest.raises(InputError, match="in train and in test"):
        fixed_split(rest, whole, "leaky")
    with pytest.raises(InputError, match=r"ours: train is \(60, 25\) and test is \(59, 25\)"):
        fixed_split(rest, whole[1:], "ours")


@pytest.mark.parametrize("n, m", [(30, 30), (0, 5), (59, 2)])
def test_strong_split_refuses_what_it_cannot_do(n, m):
    with pytest.raises(InputError, match="strong split"):
        strong_split(interactions(), n, m, 0)


def events(*rows):
    data = [(user, item, datetime(2024, 1, day)) for user, item, day in rows]
    return Events(pl.DataFrame(data, schema=["user", "item", "time"], orient="row").lazy(), "rows")


def test_time_split_trains_on_the_past_alone():
    table = events(
        *[("a", "x", 1), ("a", "y", 2), ("b", "x", 3), ("b", "y", 4)],
        *[("a", "z", 5), ("b", "z", 4), ("a", "x", 12)],  # a repeat of x is nothing new
        *[("b", "v", 6), ("a", "v", 11), ("c", "x", 12), ("a", "new", 12), ("b", "w", 1), ("a", "w", 13)],
    )
    split = time_split(table, cuts=(datetime(2024, 1, 5), datetime(2024, 1, 10)))
    assert split.train_users == ["a", "b"]  # c has no past
    assert split.items == ["w", "x", "y", "z"]  # v and new have none either
    target = pairs_of(split.test.target, split.test.users, split.items)
    assert target == {("a", "w")}
    assert pairs_of(split.validation.target, split.validation.users, split.items) == {("a", "z")}
    assert pairs_of(split.test.fold_in, split.test.users, split.items) == {("a", "x"), ("a", "y"), ("a", "z")}


def test_a_part_that_would_measure_nobody_is_refused():
    table = events(("a", "x", 1), ("b", "y", 2), ("a", "y", 3), ("c", "x", 9), ("c", "y", 12))
    with pytest.raises(InputError, match="the test part holds no known user with a known item"):
        time_split(table, cuts=(datetime(2024, 1, 3), datetime(2024, 1, 10)))


def test_leave_last_out():
    rows = [(user, item, day) for user in "ab" for day, item in enumerate("wxyz", 1)]
    split = time_split(events(*rows, ("c", "w", 9), ("c", "z", 9), ("d", "y", 1), ("d", "z", 2)), last=1)
    assert pairs_of(split.test.target, split.test.users, split.items) == {("a", "z"), ("b", "z")}
    assert pairs_of(split.validation.target, split.validation.users, split.items) == {("a", "y"), ("b", "y")}
    assert ("c", "z") in pairs_of(split.train, split.train_users, split.items)


def test_time_split_by_share_is_ordered_in_time():
    table, _ = simulate(60, 40, seed=2)
    split = time_split(table, share=0.2, k_core=2)
    first = {
        (u, i): t for u, i, t in table.collect().group_by("user", "item").agg(pl.col("time").min()).rows()
    }
    train = [first[pair] for pair in pairs_of(split.train, split.train_users, split.items)]
    validation = [first[p] for p in pairs_of(split.validation.target, split.validation.users, split.items)]
    test = [first[pair] for pair in pairs_of(split.test.target, split.test.users, split.items)]
    assert max(train) < min(validation) <= max(validation) < min(test)
    with pytest.raises(InputError, match="time column"):
        time_split(Events(table.frame.drop("time"), "rows"))


def hits_at_10(scores, seen, target):
    order = np.argsort(-np.where(seen, -np.inf, scores), axis=1, kind="stable")[:, :10]
    return np.take_along_axis(target, order, axis=1).sum() / target.sum()


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_truth_ranks_better_than_popularity(noise):
    table, truth = simulate(400, 150, seed=0, noise=noise)
    bought = to_interactions(weigh(table, {"view": 0, "cart": 0, "purchase": 1}), duplicates="once")
    split = strong_split(bought, 50, 200, seed=0)
    seen, target = split.test.fold_in.toarray() > 0, split.test.target.toarray()
    popularity = np.tile(
        split.train.sum(axis=0).A1 if hasattr(split.train.sum(axis=0), "A1") else 0, (len(seen), 1)
    )
    best = hits_at_10(truth.scores(split.test.users, split.items), seen, target)
    assert best > 1.3 * hits_at_10(popularity, seen, target)


def test_the_truth_is_calibrated():
    table, truth = simulate(500, 40, seed=1, noise=0.2)
    bought = table.collect().filter(pl.col("behaviour") == "purchase").select("user", "item").unique().height
    scores = truth.scores(truth.users)
    spread = np.sqrt((scores * (1 - scores)).sum())
    assert abs(bought - scores.sum()) < 4 * spread


def test_simulated_events_form_a_funnel():
    table, _ = simulate(200, 60, seed=0)
    assert table.source == "synthetic"
    counts = table.info()["behaviours"]
    assert counts["view"] > counts["cart"] > counts["purchase"] > 0
    first = table.collect().group_by("user", "item", "behaviour").agg(pl.col("time").min())
    wide = first.pivot(on="behaviour", index=["user", "item"], values="time").drop_nulls("purchase")
    assert (wide["view"] < wide["cart"]).all()
    assert (wide["cart"] < wide["purchase"]).all()
    views = table.collect().filter(pl.col("behaviour") == "view")["item"].value_counts()["count"].sort()
    assert (
        views.tail(6).sum() > 0.25 * views.sum()
    )  # a long tail: a tenth of the items has a quarter and more
    assert simulate(200, 60, seed=0)[0].collect().equals(table.collect())
    assert not simulate(200, 60, seed=1)[0].collect().equals(table.collect())


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0), (5, 5, 0), (5, 5, 8, 0, 1.5), (5, 5, 8, 0, float("nan"))])
def test_simulate_refuses_senseless_sizes(sizes):
    with pytest.raises(InputError):
        simulate(*sizes)
