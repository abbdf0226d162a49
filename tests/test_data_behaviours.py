"""Catalogues of actions: blocks in order, splits that show and hide what they say, folders as published."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from minigen.data.behaviour_split import KINDS, behaviour_split
from minigen.data.behaviours import behaviour_folders, known_parts, of_target, read_behaviours_split
from minigen.data.events import Events
from minigen.data.interactions import HeldOut
from minigen.data.lightgcn import read_lightgcn_split
from minigen.data.published import with_validation
from minigen.data.simulate import simulate
from minigen.errors import InputError
from minigen.recommender.runs import read_split, write_split


@pytest.fixture(scope="module")
def events() -> Events:
    return simulate(120, 30, seed=3, views_per_user=20)[0]


def pairs(split, matrix, users) -> set[tuple[str, str]]:
    rows, columns = matrix.nonzero()
    return {(users[row], split.items[column]) for row, column in zip(rows, columns)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unseen", [False, True])
def test_every_action_is_shown_or_to_be_found_and_nothing_else(kind, unseen, events):
    split = behaviour_split(events, "purchase", kind, seed=1, unseen=unseen)
    happened = set(
        events.collect().select("user", pl.concat_str("behaviour", "item", separator=":")).iter_rows()
    )
    n_items = len(split.items) // 3
    assert split.behaviours == ("view", "cart", "purchase")
    assert [item.partition(":")[2] for item in split.items] == 3 * [
        item.partition(":")[2] for item in split.items[:n_items]
    ]
    trained = pairs(split, split.train, split.train_users)
    for held in (split.validation, split.test):
        shown, found = (pairs(split, part, held.users) for part in (held.fold_in, held.target))
        assert found
        assert found <= happened
        assert shown <= happened
        assert not found & (shown | trained)
        assert all(action.startswith("purchase:") for _, action in found)
        if kind != "strong":  # people of the training rows
            assert {pair for pair in trained if pair[0] in held.users} <= shown | found
        asked = {(user, action.partition(":")[2]) for user, action in found}
        others = {(u, a) for u, a in happened - found if (u, a.partition(":")[2]) in asked}
        assert others  # a user viewed what is to be found
        assert bool(others & shown) is (not unseen or kind == "time")
        if unseen and kind != "time":
            assert not asked & {(user, action.partition(":")[2]) for user, action in shown}
            if kind == "weak":
                assert not asked & {(user, action.partition(":")[2]) for user, action in trained}
    if kind == "strong":
        held_out = {*split.validation.users, *split.test.users}
        assert not held_out & set(split.train_users)
        assert trained == {pair for pair in happened if pair[0] not in held_out}


def test_by_time_nothing_after_the_cut_is_shown(events):
    split = behaviour_split(events, "purchase", "time")
    when = {
        (user, f"{behaviour}:{item}"): time
        for user, item, behaviour, time in events.collect()
        .group_by("user", "item", "behaviour")
        .agg(pl.col("time").min())
        .select("user", "item", "behaviour", "time")
        .iter_rows()
    }
    trained = max(when[pair] for pair in pairs(split, split.train, split.train_users))
    parts = {
        name: (
            max(when[pair] for pair in pairs(split, held.fold_in, held.users)),
            [when[pair] for pair in pairs(split, held.target, held.users)],
        )
        for name, held in (("validation", split.validation), ("test", split.test))
    }
    assert trained < min(parts["validation"][1])
    assert parts["validation"][0] < min(parts["validation"][1])
    assert max(parts["validation"][1]) <= parts["test"][0] < min(parts["test"][1])


def test_the_target_alone_is_the_split_without_the_others(events):
    split = behaviour_split(events, "purchase", "weak")
    alone = of_target(split)
    assert alone.items == [item.removeprefix("purchase:") for item in split.items[-30:]]
    assert alone.item_names[alone.items[0]] == split.item_names[split.items[0]].removeprefix("view: ")
    np.testing.assert_array_equal(alone.train.toarray(), split.train.toarray()[:, -30:])
    np.testing.assert_array_equal(alone.test.target.toarray(), split.test.target.toarray()[:, -30:])
    assert of_target(alone) is alone


def test_parts_by_what_was_touched():
    fold_in = csr_matrix(np.array([[1, 0, 0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0, 1, 0, 0]], np.float32))
    target = csr_matrix(np.array([[0, 0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1, 0]], np.float32))
    parts = known_parts(HeldOut(fold_in, target, ["a", "b"]), ("view", "cart", "buy"))
    found = {name: list(zip(*(n.tolist() for n in part.target.nonzero()))) for name, part in parts.items()}
    assert found == {"view": [(0, 6), (1, 7)], "cart": [(0, 7)], "new": [(0, 8)]}


@pytest.fixture
def folder(tmp_path):
    for name, train, test in (
        ("buy", "0 1 2 0\n1 3\n2 0 1 2", "0 4\n1 1\n"),
        ("view", "0 1 2 4 3 0\n1 3 1\n2 0", "1 0\n"),
        ("cart", "0 1 4\n1 3\n2 1", "0 2\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.txt").write_text(train)
        (tmp_path / name / "test.txt").write_text(test)
    return tmp_path


def test_a_folder_of_lightgcn_splits_is_read_as_it_is(folder):
    assert list(behaviour_folders(folder)) == ["buy", "cart", "view"]
    assert behaviour_folders(folder / "buy") == {}
    split = read_behaviours_split(folder, "buy", 0.4, seed=1)
    assert split.behaviours == ("view", "cart", "buy")
    alone = with_validation(read_lightgcn_split(folder / "buy", folder.name), 0.4, 1)
    assert of_target(split).hash == alone.hash
    shares = {name: part.target.nnz for name, part in known_parts(split.test, split.behaviours).items()}
    assert shares == {"view": 2, "cart": 1, "new": 0}


def test_the_behaviours_survive_the_round_trip(folder, tmp_path):
    split = read_behaviours_split(folder, "buy", 0.4)
    write_split(tmp_path / "run", split)
    assert read_split(tmp_path / "run").behaviours == split.behaviours


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (None, "want one of several behaviours to recommend, got None; there are buy, cart, view"),
        ("wish", "got 'wish'; there are buy, cart, view"),
    ],
)
def test_a_folder_without_the_target_is_refused(target, line, folder):
    with pytest.raises(InputError, match=line):
        read_behaviours_split(folder, target, 0.4)


def test_folders_of_other_people_are_refused(folder):
    (folder / "view" / "train.txt").write_text("0 1\n7 2\n")
    with pytest.raises(InputError, match=r"is of \(8, 3\) users and items, buy of \(3, 5\)"):
        read_behaviours_split(folder, "buy", 0.4)


@pytest.mark.parametrize(
    ("change", "options", "line"),
    [
        (lambda f: f, {"target": "refund"}, "got 'refund'; there are cart, purchase, view"),
        (lambda f: f, {"target": "purchase", "kind": "odd"}, "no split 'odd'; there are strong, weak, time"),
        (lambda f: f, {"target": "purchase", "held_out": 9999}, "9999 \\+ 9999 held-out users are too many"),
        (
            lambda f: f.drop("behaviour"),
            {"target": "purchase"},
            "a target behaviour needs a behaviour column",
        ),
        (lambda f: f.drop("time"), {"target": "purchase", "kind": "time"}, "needs a time column"),
        (
            lambda f: f.with_columns(behaviour=pl.lit("a:b")),
            {"target": "a:b"},
            "a behaviour's name has no ':' and no comma, got 'a:b'",
        ),
        (
            lambda f: f.filter(pl.col("behaviour") == "view"),
            {"target": "view"},
            "want one of several behaviours to recommend, got 'view'; there are view",
        ),
    ],
)
def test_bad_input_is_one_line(change, options, line, events):
    with pytest.raises(InputError, match=line) as error:
        behaviour_split(Events(change(events.frame), "shop.csv"), **options)
    assert "\n" not in str(error.value)
