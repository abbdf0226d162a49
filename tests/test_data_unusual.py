"""Events that are unusual and right: withdrawn ones, none at all, days for times, files that lie beside."""

from __future__ import annotations

import os
import runpy
import sys
import zipfile
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from minigen.data import (
    Events,
    HeldOut,
    Split,
    load,
    read_events,
    time_split,
    to_interactions,
    with_validation,
)
from minigen.data.behaviour_split import behaviour_split
from minigen.data.events import weigh
from minigen.data.images import EMBEDDED, read_images, write_idx
from minigen.data.interactions import pairs_hash
from minigen.data.simulate import simulate
from minigen.data.tables import collect
from minigen.errors import InputError


@pytest.mark.parametrize("kind", ["weak", "time"])
def test_events_of_weight_0_are_in_no_part_of_a_split(kind):
    events, _ = simulate(80, 20, seed=4, views_per_user=20)
    counted = events.frame.with_columns(weight=pl.lit(1.0)).collect()
    away = counted.with_columns(item=pl.lit("i00"), weight=pl.lit(0.0))
    whole = Events(pl.concat([counted, away]).lazy(), "shop")
    split = behaviour_split(whole, "purchase", kind, seed=1)
    assert split.hash == behaviour_split(events, "purchase", kind, seed=1).hash
    assert time_split(whole).hash == time_split(events).hash


def test_a_table_without_an_event_is_described():
    events = Events(pl.LazyFrame({"user": ["a"], "item": ["x"], "weight": [2.0]}), "shop")
    assert events.info()["events_per_user"]["max"] == 1
    info = weigh(events, min_weight=3.0).info()
    assert [info[name] for name in ("events", "users", "items", "pairs", "density")] == [0] * 5
    assert "events_per_user" not in info
    assert info["weight_max"] is None


def test_a_day_is_its_first_moment(tmp_path):
    table = pl.DataFrame(
        {"user": ["a", "b"], "item": ["x", "y"], "time": [date(2024, 2, 29), date(1999, 12, 31)]}
    )
    table.write_parquet(tmp_path / "days.parquet")
    times = read_events(tmp_path / "days.parquet").collect()["time"].to_list()
    assert times == [datetime(2024, 2, 29), datetime(1999, 12, 31)]


TABLES = {
    "view_ecommerce.dat": "1\t2\n1\t3",
    "add_to_cart_ecommerce.dat": "1\t2",
    "purchase_ecommerce.dat": "1\t2",
}


@pytest.mark.parametrize("packed", [False, True])
def test_a_shop_of_a_table_a_behaviour_is_known_by_its_files(tmp_path, packed):
    """Beside them lie others, which are passed over: they tell of products."""
    files = TABLES | {"category_tree.dat": "3\t4", "view_other.dat": "5\t6", "notes.txt": "of 2015"}
    if packed:
        shop = tmp_path / "shop.zip"
        with zipfile.ZipFile(shop, "w") as archive:
            for name, lines in files.items():
                archive.writestr(f"shop/{name}", f"visitorid\titemid\n{lines}\n")
    else:
        shop = tmp_path
        for name, lines in files.items():
            (shop / name).write_text(f"visitorid\titemid\n{lines}\n")
    events = load(shop, weights={"view": 0, "cart": 0.5, "purchase": 1})
    assert sorted(events.collect().rows()) == [
        ("1", "2", "cart", 0.5),
        ("1", "2", "purchase", 1.0),
        ("1", "2", "view", 0.0),
        ("1", "3", "view", 0.0),
    ]


def test_the_hash_is_that_of_the_pairs_in_whatever_order_they_lie():
    values, items, starts = np.float32([1, 2, 3]), np.array([2, 0, 1]), np.array([0, 2, 3])
    messy = sparse.csr_matrix((values, items, starts), shape=(2, 3))
    assert not messy.has_sorted_indices
    assert pairs_hash(messy) == pairs_hash(messy.sorted_indices())
    assert messy.indices.tolist() == [2, 0, 1]  # the caller's is left as it was
    assert pairs_hash(messy) != pairs_hash(2 * messy)


def test_at_most_so_many_people_are_validated_and_the_others_keep_their_rows():
    whole = sparse.csr_matrix(np.ones((40, 10), np.float32))
    users, items = [f"u{n}" for n in range(40)], [f"i{n}" for n in range(10)]
    split = Split("whole", whole, users, items, None, HeldOut(whole, whole, users))
    cut = with_validation(split, 0.2, seed=3, most=7)
    assert len(cut.validation.users) == 7
    assert (np.diff(cut.validation.target.indptr) == 2).all()
    rows = [users.index(user) for user in cut.validation.users]
    left = np.diff(cut.train.indptr)
    assert (left[rows] == 8).all()
    assert (np.delete(left, rows) == 10).all()
    assert ((cut.train[rows] + cut.validation.target) != whole[rows]).nnz == 0
    assert (cut.train[rows] != cut.validation.fold_in).nnz == 0
    assert with_validation(split, 0.2, seed=3, most=7).hash == cut.hash
    assert with_validation(split, 0.2, seed=4, most=7).validation.users != cut.validation.users


def test_the_build_script_is_given_two_folders(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", np.arange(20, dtype=np.uint8).reshape(20, 1, 1))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.repeat(np.arange(10, dtype=np.uint8), 2))
    script = str(EMBEDDED / "build.py")
    monkeypatch.setattr(sys, "argv", [script, str(tmp_path), str(tmp_path / "out")])
    runpy.run_path(script, run_name="__main__")
    assert read_images(tmp_path / "out").train.ravel().tolist() == list(range(20))


class Frame:
    """A lazy frame of which the engine has something to say while it is computed."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure

    def collect(self, **_: object) -> str:
        os.write(2, b"thread 3 says so\n")
        if self.failure:
            raise self.failure
        return "rows"


def test_what_the_engine_says_is_heard_but_for_its_panics(capfd, monkeypatch):
    assert collect(Frame()) == "rows"
    assert capfd.readouterr().err == "thread 3 says so\n"
    with pytest.raises(OSError, match="gone"):
        collect(Frame(OSError("gone")))
    assert capfd.readouterr().err == "thread 3 says so\n"
    with pytest.raises(pl.exceptions.PanicException):
        collect(Frame(pl.exceptions.PanicException("a damaged page")))
    assert capfd.readouterr().err == ""


def test_a_program_without_a_place_for_its_errors_reads_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("user,item\n1,2\n")
    monkeypatch.setattr(sys, "stderr", None)  # as of a service, or under pythonw
    assert to_interactions(read_events(tmp_path / "a.csv")).users == ["1"]
    (tmp_path / "b.csv").write_text("user,item\n1,2\n1,2,3\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_events(tmp_path / "b.csv").collect()


def test_a_name_of_a_file_is_no_pattern(tmp_path):
    """Beside a file of an unusual name lie others that its name, taken as a pattern, would match."""
    (tmp_path / "e1.csv").write_text("user,item\nother,9\n")
    pl.DataFrame({"user": ["other"], "item": ["9"]}).write_parquet(tmp_path / "e1.parquet")
    for name in ("e[1].csv", "*.csv", "e?.csv"):
        (tmp_path / name).write_text("user,item\na,1\n")
        assert read_events(tmp_path / name).collect().rows() == [("a", "1")]
    (tmp_path / "e[1].jsonl").write_text('{"user":"a","item":1}\n')
    pl.DataFrame({"user": ["a"], "item": ["1"]}).write_parquet(tmp_path / "e[1].parquet")
    for name in ("e[1].jsonl", "e[1].parquet"):
        assert read_events(tmp_path / name).collect().rows() == [("a", "1")]


def test_the_titles_of_a_folder_whose_name_looks_like_a_pattern(tmp_path):
    folder = tmp_path / "ml[1]"
    folder.mkdir()
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,5,1700000000\n")
    (folder / "movies.csv").write_text("movieId,title\n2,Heat\n")
    assert load(folder).item_names == {"2": "Heat"}


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), None])
def test_an_id_that_is_no_finite_number_is_missing(tmp_path, odd):
    table = pl.DataFrame({"user": [1.0, odd, 1.5], "item": [10.0, 11.0, odd], "behaviour": [odd, 1.0, 1.0]})
    table.write_parquet(tmp_path / "a.parquet")
    events = read_events(tmp_path / "a.parquet")
    assert events.skipped == 2
    assert events.collect().rows() == [("1", "10", None)]


def test_times_and_weights_of_few_words_are_read_as_text(tmp_path):
    """Categories and enumerations hold numbers of their own, which are not what they say."""
    table = pl.DataFrame(
        {"user": ["a", "b"], "item": ["x", "y"], "time": ["2024-02-29", "1700000000"], "weight": ["5", "2.5"]}
    )
    for name, kind in (("few", pl.Categorical), ("listed", pl.Enum(table["time"].to_list()))):
        there = table.with_columns(pl.col("time").cast(kind), pl.col("weight", "user").cast(pl.Categorical))
        there.write_parquet(tmp_path / f"{name}.parquet")
        assert read_events(tmp_path / f"{name}.parquet").collect().rows() == [
            ("a", "x", datetime(2024, 2, 29), 5.0),
            ("b", "y", datetime(2023, 11, 14, 22, 13, 20), 2.5),
        ]


def test_a_column_may_have_any_name(tmp_path):
    table = pl.DataFrame({"_row": ["a", "b"], "_row_": ["x", "y"], "_valid": ["1", "2"], "_text": ["3", "4"]})
    table.write_csv(tmp_path / "a.csv")
    table.write_parquet(tmp_path / "a.parquet")
    table.write_ndjson(tmp_path / "a.jsonl")
    for suffix in ("csv", "parquet", "jsonl"):
        path = tmp_path / f"a.{suffix}"
        assert read_events(path, user="_row", item="_row_").collect().rows() == [("a", "x"), ("b", "y")]
        times = read_events(path, user="_valid", item="_text", time="_text").collect()["time"].to_list()
        assert times == [datetime(1970, 1, 1, 0, 0, 3), datetime(1970, 1, 1, 0, 0, 4)]
        with pytest.raises(InputError, match=f"{suffix}, (line|row) [123]: weight 'a' is not a number"):
            read_events(path, user="_valid", item="_text", weight="_row")


@pytest.mark.parametrize("late", ['"weight":2,"behaviour":"buy"', '"w\\u00f6rd":"buy"', '"wörd":"buy"'])
def test_columns_that_json_lines_have_late_are_columns(tmp_path, late):
    """A key that only a later line has is no column before it: what is missing there is said, or null."""
    line, path = '{"user":"a","item":"x"}\n', tmp_path / "a.jsonl"
    path.write_text(line * 150 + f'{{"user":"b","item":"y",{late}}}\n', "utf-8")
    if "weight" in late:
        for weight in (None, "weight"):
            with pytest.raises(InputError, match=r"a\.jsonl, line 1: weight is missing"):
                read_events(path, weight=weight)
    else:
        behaviours = read_events(path, behaviour="wörd").collect()["behaviour"].to_list()
        assert behaviours == [None] * 150 + ["buy"]
    with pytest.raises(InputError, match="no column 'nowhere' for the weight"):
        read_events(path, weight="nowhere")
    path.write_text(line * 150 + '{"user":"b","item":"\\"weight\\"","more":{"weight":1}}\n', "utf-8")
    assert "weight" not in read_events(path).columns


def test_lines_are_counted_with_the_blank_ones(tmp_path):
    path = tmp_path / "a.jsonl"
    for bad in ("  ", "oops"):
        for first in (3, 150):
            path.write_text('\n{"user":"a","item":"x"}\n' + "\n" * first + f"{bad}\n", "utf-8")
            with pytest.raises(InputError, match=rf"a\.jsonl, line {first + 3}: is not a JSON object"):
                read_events(path)
