"""Event tables: what is read, what is refused in one line, and the matrix made of it."""

import gzip
import json
import subprocess
import sys
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.cli.columns import Columns, parse_weights
from minigen.data import Events, load, read_events, to_interactions
from minigen.data.matrix import core_mask, sorted_ids
from minigen.data.simulate import simulate
from minigen.errors import InputError

CSV = """user,item,behaviour,time,weight
007,🎸,view,1700000000,1
7,b,buy,1700000000000,2.5
007,b,view,2023-11-14,0
"""


def table(rows, **columns):
    frame = pl.DataFrame(rows, schema=["user", "item", *columns], orient="row").lazy()
    return Events(frame.with_columns(**columns) if columns else frame, "rows")


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(call, *words):
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", CSV),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("a.tsv", CSV.replace(",", "\t")),
        ("semicolons.csv", CSV.replace(",", ";")),
        ("bom_and_crlf.csv", b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode()),
        ("blank_lines.csv", CSV.replace("\n7", "\n\n7")),
        (
            "a.jsonl",
            '{"user":"007","item":"\\ud83c\\udfb8","behaviour":"view","time":1700000000,"weight":1}\n'
            '{"user":7,"item":"b","behaviour":"buy","time":"1700000000000","weight":"2.5"}\n\n'
            '{"user":"007","item":"b","behaviour":"view","time":"2023-11-14","weight":0,"extra":[1]}\n',
        ),
    ],
)
def test_every_text_format_reads_the_same_events(tmp_path, name, content):
    events = read_events(write(tmp_path, name, content))
    assert events.collect().rows() == [
        ("007", "🎸", "view", datetime(2023, 11, 14, 22, 13, 20), 1.0),
        ("7", "b", "buy", datetime(2023, 11, 14, 22, 13, 20), 2.5),
        ("007", "b", "view", datetime(2023, 11, 14), 0.0),
    ]


def test_parquet_ids_become_text_and_missing_ones_are_counted(tmp_path):
    frame = pl.DataFrame({"who": [1.0, 2.0, None], "item": [10, 9, 8], "time": [datetime(2024, 1, 1)] * 3})
    frame.write_parquet(tmp_path / "a.parquet")
    events = read_events(tmp_path / "a.parquet", user="who")
    assert events.collect().select("user", "item").rows() == [("1", "10"), ("2", "9")]
    assert events.skipped == 1


@pytest.mark.parametrize(
    "text, want",
    [
        ("2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5)),
        ("2024-01-02 03:04:05+02:00", datetime(2024, 1, 2, 1, 4, 5)),
        ("2024-01-02T03:04:05.250", datetime(2024, 1, 2, 3, 4, 5, 250000)),
        ("2024-01-02 03:04", datetime(2024, 1, 2, 3, 4)),
        ("1704164645.5", datetime(2024, 1, 2, 3, 4, 5, 500000)),
        ("1704164645500", datetime(2024, 1, 2, 3, 4, 5, 500000)),
    ],
)
def test_times(tmp_path, text, want):
    path = write(tmp_path, "a.csv", f"user,item,when\na,b,{text}\n")
    assert read_events(path, time="when").collect()["time"].to_list() == [want]


def test_a_named_column_that_is_no_default(tmp_path):
    path = write(tmp_path, "a.csv", "u,i,stars,title\n1,x,4,One\n1,y,2,Two\n2,x,5,Uno\n")
    events = read_events(path, user="u", item="i", weight="stars", item_name="title", min_weight=4)
    assert events.collect().rows() == [("1", "x", 4.0), ("2", "x", 5.0)]
    assert events.item_names == {"x": "One", "y": "Two"}


@pytest.mark.parametrize(
    "name, content, options, words",
    [
        ("empty.csv", "", {}, ["is empty"]),
        ("header.csv", "user,item\n", {}, ["no event"]),
        ("wrong.csv", "usr,item\n1,2\n", {}, ["'user'", "'usr', 'item'"]),
        ("blank.csv", "user, item\n1,2\n", {}, ["no column 'item'", "are 'user', ' item'"]),
        ("wrong.jsonl", '{"usr":1,"item":2}\n', {}, ["'user'", "'usr', 'item'"]),
        ("text.csv", "user,item,weight\n1,2,3\n1,3,many\n", {}, ["line 3", "'many' is not a number"]),
        ("nan.csv", "user,item,weight\n1,2,nan\n", {}, ["line 2", "not finite"]),
        ("inf.csv", "user,item,weight\n1,2,inf\n", {}, ["line 2", "not finite"]),
        ("less.csv", "user,item,weight\n1,2,-1\n", {}, ["line 2", "negative"]),
        ("gap.csv", "user,item,weight\n1,2,\n", {}, ["line 2", "missing"]),
        ("time.csv", "user,item,time\n1,2,soon\n", {}, ["line 2", "'soon'"]),
        ("latin.csv", "user,item\nJosé,1\n".encode("latin-1"), {}, ["cannot be read"]),
        ("utf16.csv", "user,item\n1,2\n".encode("utf-16"), {}, ["UTF-16"]),
        ("ragged.csv", "user,item\n1,2\n1,2,3\n", {}, ["cannot be read"]),
        ("cut.csv.gz", gzip.compress(b"user,item\n" + b"1,2\n" * 999, mtime=0)[:40], {}, ["cannot be read"]),
        ("foreign.csv.gz", "user,item\n1,2\n", {}, ["cannot be read"]),
        ("foreign.parquet", "user,item\n1,2\n", {}, ["cannot be read"]),
        ("cut.jsonl", '{"user":1,"item":2}\n{"user":1,"it', {}, ["line 2", "JSON"]),
        ("late.jsonl", '{"user":1,"item":2}\n' * 200 + "oops\n", {}, ["line 201", "JSON"]),
        ("a.xls", "user,item\n1,2\n", {}, ["format unknown"]),
        ("b.csv", "user,item\n1,2\n", {"weights": {"buy": 1}}, ["behaviour column"]),
        (
            "c.csv",
            "user,item,behaviour\n1,2,view\n1,2,buy\n",
            {"weights": {"buy": 1}},
            ["'view'", "buy, view"],
        ),
        ("d.csv", "user,item\n1,2\n", {"min_weight": 1.0}, ["weight column"]),
    ],
)
def test_bad_input_is_one_line(tmp_path, name, content, options, words):
    path = write(tmp_path, name, content)
    refused(lambda: read_events(path, **options).collect(), name, *words)


@pytest.mark.parametrize("factor", [-1, float("nan"), float("inf")])
def test_a_senseless_behaviour_weight(tmp_path, factor):
    path = write(tmp_path, "a.csv", CSV)
    refused(lambda: read_events(path, weights={"buy": factor, "view": 1}), "buy", "at least 0")


def test_no_file_and_a_folder(tmp_path):
    refused(lambda: read_events(tmp_path / "none.csv"), "no such file")
    refused(lambda: read_events(tmp_path), "folder")
    refused(lambda: load("online-retial"), "no such file", "online-retail-raw")
    refused(lambda: load("online-retail", user="customer"), "user")


def test_a_truncated_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"user": range(500), "item": range(500)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    refused(lambda: read_events(path), "cannot be read")


def test_behaviour_weights_multiply_and_duplicates_add_or_count_once(tmp_path):
    lines = ["user,item,behaviour", "a,x,view", "a,x,view", "a,x,buy", "a,y,view", "b,y,skip"]
    path = write(tmp_path, "a.csv", "\n".join(lines))
    events = read_events(path, weights={"buy": 1, "view": 0.1, "skip": 0})
    summed, once = to_interactions(events), to_interactions(events, duplicates="once")
    assert (summed.users, summed.items) == (["a"], ["x", "y"])  # b only skipped
    np.testing.assert_array_equal(summed.matrix.toarray(), np.float32([[1.2, 0.1]]))
    np.testing.assert_array_equal(once.matrix.toarray(), np.float32([[1, 0.1]]))
    assert summed.matrix.dtype == np.float32


def test_order_of_ids():
    assert sorted_ids(pl.Series(["b", "10", "9", "007", "7", "a10", "b"])).to_list() == (
        ["007", "7", "9", "10", "a10", "b"]
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, unique=True), st.integers(1, 4))
def test_core_is_the_largest_set_that_keeps_its_minimum(pairs, k):
    rows, columns = np.array(pairs).T
    keep = core_mask(rows, columns, k, k)
    for ids in (rows[keep], columns[keep]):
        assert (np.unique(ids, return_counts=True)[1] >= k).all()
    naive = set(pairs)
    while True:  # one bad user or item at a time, in any order
        users, items = [u for u, _ in naive], [i for _, i in naive]
        less = {(u, i) for u, i in naive if users.count(u) >= k and items.count(i) >= k}
        if less == naive:
            break
        naive = less
    assert {pairs[n] for n in np.flatnonzero(keep)} == naive


def test_one_pass_core_counts_once_and_an_empty_core_says_what_is_possible():
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "y"), ("c", "z")]
    assert to_interactions(table(pairs), k_core=2, iterate=False).users == ["a", "b", "c"]
    assert to_interactions(table(pairs), k_core=2).users == ["a", "b"]
    refused(lambda: to_interactions(table(pairs), k_core=3), "3-core is empty", "is 2")


def test_order_of_rows_does_not_matter(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{i}", w)
        for u, i, w in zip(rng.integers(9, size=99), rng.integers(9, size=99), rng.random(99))
    ]
    one, two = (
        to_interactions(
            Events(pl.DataFrame(order, schema=["user", "item", "weight"], orient="row").lazy(), "rows")
        )
        for order in (rows, rows[::-1])
    )
    assert one.users == two.users
    assert (one.matrix != two.matrix).nnz == 0


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e-40])
def test_small_weights_are_weights(scale):
    rows = [("a", "x", 1.4 * scale), ("a", "x", scale), ("b", "y", 3 * scale), ("b", "x", 1e-60)]
    frame = pl.DataFrame(rows, schema=["user", "item", "weight"], orient="row")
    matrix = to_interactions(Events(frame.lazy(), "rows")).matrix
    assert matrix.nnz == 2
    np.testing.assert_allclose(matrix.toarray() / np.float32(scale), [[2.4, 0], [0, 3]], rtol=1e-4)


def test_info():
    events, _ = simulate(30, 20, seed=3)
    info, frame = events.info(), events.collect()
    assert info["events"] == frame.height
    assert info["users"] == frame["user"].n_unique()
    assert info["pairs"] == frame.select("user", "item").unique().height
    assert sum(info["behaviours"].values()) == frame.height
    assert info["density"] == info["pairs"] / (info["users"] * info["items"])
    json.dumps(info)  # plain numbers


def test_options_of_a_command(tmp_path):
    assert parse_weights("purchase=1, cart=0.5,a=b=2") == {"purchase": 1, "cart": 0.5, "a=b": 2}
    for text in ("purchase", "=1", "a=x", "a=1,a=2", ""):
        refused(lambda text=text: parse_weights(text), "--weights")
    path = write(tmp_path, "a.csv", "user,item,behaviour\n1,2,buy\n")
    assert Columns("user", "item", weights="buy=3").load(str(path)).collect()["weight"].to_list() == [3.0]


def test_importing_data_loads_neither_polars_nor_scipy():
    code = "import sys, minigen.data; print([m for m in ('polars', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
