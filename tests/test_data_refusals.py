"""What the data package cannot use is refused in words that say what it wants."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import zipfile
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from minigen.cli import main
from minigen.data import (
    Events,
    Interactions,
    load,
    read_events,
    strong_split,
    time_split,
    to_interactions,
    validation_cut,
    weak_split,
)
from minigen.data.events import weigh
from minigen.data.lightgcn import read_adjacency, read_lightgcn_split
from minigen.data.simulate import simulate
from minigen.data.vectors import load_vectors
from minigen.errors import InputError

EVENTS = Events(pl.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"]}).lazy(), "memory")
TIMED = Events(
    pl.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"], "time": [1, 2, 3]})
    .with_columns(pl.col("time").cast(pl.Datetime("us")))
    .lazy(),
    "memory",
)


def whole(matrix):
    rows = sparse.csr_matrix(np.array(matrix, np.float32))
    return Interactions(
        rows, [f"u{n}" for n in range(rows.shape[0])], [f"i{n}" for n in range(rows.shape[1])]
    )


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: time_split(EVENTS), "a split by time needs a time column"),
        (lambda: time_split(TIMED, k_core=1, share=0.6), "share: want a number between 0 and 0.5, got 0.6"),
        (lambda: time_split(TIMED, k_core=1, last=0), "last: want at least 1, got 0"),
        (
            lambda: strong_split(whole(np.kron(np.eye(9), [1, 1])), 3, 3, seed=0),
            "no held-out user has two items",
        ),
        (lambda: weak_split(whole(np.eye(4)), seed=0), "no user has"),
        (
            lambda: validation_cut(whole(np.ones((3, 3))).matrix, 1.5, 0),
            "share: want a number between 0 and 1",
        ),
        (lambda: load(__file__, format="svmlight"), "no format 'svmlight'; there are "),
        (lambda: read_adjacency("nowhere.npz"), "nowhere.npz: no such file"),
        (lambda: weigh(EVENTS, min_weight=float("nan")), "min_weight: want a finite number, got nan"),
        (lambda: to_interactions(EVENTS, duplicates="twice"), "duplicates: want sum or once, got 'twice'"),
        (
            lambda: to_interactions(replace(EVENTS, frame=EVENTS.frame.with_columns(weight=pl.lit(0.0)))),
            "memory: no event has a weight above 0",
        ),
        (lambda: simulate(5, 7)[1].scores(["u4", "u5"]), "no user 'u5' in the simulation"),
        (lambda: simulate(5, 7)[1].scores(["u4"], ["x"]), "no item 'x' in the simulation"),
    ],
)
def test_what_cannot_be_split_or_read(make, told):
    with pytest.raises(InputError, match=told) as error:
        make()
    assert "\n" not in str(error.value)


def test_files_that_want_more_to_be_said(tmp_path):
    lines, several = tmp_path / "a.jsonl", tmp_path / "a.csv"
    lines.write_text('{"us\\\\er": 1, "item": 2}\n')
    several.write_text("1::2\n")
    with pytest.raises(InputError, match="a column of JSON lines has no backslash in its name"):
        read_events(lines, user="us\\er")
    with pytest.raises(InputError, match="a separator of several characters needs a header"):
        read_events(several, separator="::")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("other.dat", "1\t2\n")
    (tmp_path / "shop.zip").write_bytes(content.getvalue())
    with pytest.raises(InputError, match="holds no view, add_to_cart or purchase table"):
        load(tmp_path / "shop.zip", format="retailrocket")


def test_convert_writes_the_standard_names_and_tells_of_them(tmp_path, capsys):
    source, target, told = tmp_path / "a.csv", tmp_path / "b.jsonl", tmp_path / "told.json"
    source.write_text("who,what\n007,a\n7,b\n")
    words = [
        "data",
        "convert",
        str(source),
        str(target),
        "--user",
        "who",
        "--item",
        "what",
        "--json",
        str(told),
    ]
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert not stop.value.code
    assert [json.loads(line) for line in target.read_text().splitlines()] == [
        {"user": "007", "item": "a"},
        {"user": "7", "item": "b"},
    ]
    (row,) = json.loads(told.read_text())["rows"]
    assert row["columns"] == ["user", "item"]
    assert "b.jsonl:user,item" in "".join(capsys.readouterr().out.split())


def test_lines_of_a_split_that_name_nobody(tmp_path):
    (tmp_path / "train.txt").write_text("0 1 2\n")
    for text in ("0\n1\n", "0 -1\n"):  # users without an item; an item before the first
        (tmp_path / "test.txt").write_text(text)
        with pytest.raises(InputError, match=r"test\.txt: want a line a user: .*, all of at least 0"):
            read_lightgcn_split(tmp_path)


def test_an_adjacency_that_leaves_open_who_is_a_user(tmp_path):
    """Users 0 and 1 have items; the third of five is a user or an item that nobody met."""
    adjacency, path = np.zeros((5, 5), np.float32), tmp_path / "s_adj_mat.npz"
    adjacency[[0, 1, 1], [3, 3, 4]] = 1
    sparse.save_npz(path, sparse.csr_matrix(adjacency + adjacency.T))
    with pytest.raises(InputError, match="the number of users is not clear from the matrix; give n_users"):
        read_adjacency(path)
    assert read_adjacency(path, 3).toarray().tolist() == [[1, 0], [1, 1], [0, 0]]
    assert read_adjacency(path, 2).toarray().tolist() == [[0, 1, 0], [0, 1, 1]]


def test_files_without_a_line_and_rows_that_are_no_numbers(tmp_path):
    (tmp_path / "blank.csv").write_text("\n\r\n\n")
    with pytest.raises(InputError, match=r"blank\.csv: is empty"):
        read_events(tmp_path / "blank.csv")
    for x, kind in ((np.ones((30, 3), bool), "bool"), (np.ones((30, 3), complex), "complex128")):
        np.save(tmp_path / "x.npy", x)
        with pytest.raises(InputError, match=rf"x\.npy: want numbers alone, got {kind}"):
            load_vectors(str(tmp_path / "x.npy"))


@pytest.mark.parametrize(
    ("train", "test", "file", "number"),
    [
        ("0 200000000\n", "0 3\n", "train", 200000000),
        ("0 1\n", "1999999999 3\n", "test", 1999999999),
        ("0 9223372036854775807\n", "0 3\n", "train", 9223372036854775807),
    ],
)
def test_ids_far_above_the_number_of_pairs_are_no_row_numbers(tmp_path, train, test, file, number):
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "test.txt").write_text(test)
    with pytest.raises(InputError, match=rf"{file}\.txt: .* number {number} among .* pairs"):
        read_lightgcn_split(tmp_path)


def test_an_adjacency_matrix_far_larger_than_its_pairs(tmp_path):
    path, size = tmp_path / "s_adj_mat.npz", 2_000_000_000
    sparse.save_npz(path, sparse.coo_matrix(([1.0, 1.0], ([0, 1], [1, 0])), shape=(size, size)))
    with pytest.raises(InputError, match=rf"s_adj_mat\.npz: .* number {size - 1} among 2 pairs"):
        read_adjacency(path)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names of files are text there")
def test_a_file_whose_name_is_no_text(tmp_path, capsys):
    bad, good = tmp_path / os.fsdecode(b"s\xff.csv"), tmp_path / "a.csv"
    for path in (bad, good):
        path.write_text("user,item\na,x\n")
    for words in (["info", str(bad)], ["convert", str(good), str(tmp_path / os.fsdecode(b"c\xff.csv"))]):
        with pytest.raises(SystemExit) as stop:
            main(["data", *words])
        assert stop.value.code == 2
        assert re.search(r"\\udcff\.csv: its name is not UTF-8 text\n$", capsys.readouterr().err)


@pytest.mark.parametrize("separator", ["é", "", "\udcff"])
def test_a_separator_that_is_no_character_of_ascii(tmp_path, separator):
    (tmp_path / "a.csv").write_text("user,item\na,x\n")
    with pytest.raises(InputError, match=r"a\.csv: separator '.*': want one ASCII character, or several"):
        read_events(tmp_path / "a.csv", separator=separator)
