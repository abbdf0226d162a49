"""What stands in a file stays what it is: ids keep their digits, names stay text."""

from __future__ import annotations

import gzip
import io
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from test_hostile_readers import CSV, refused, use, write

from minigen.cli import output
from minigen.data import read_events, read_lightgcn_split, to_interactions, write_events
from minigen.data.published import is_cfgan_split, read_cfgan_split
from minigen.data.vectors import load_vectors
from minigen.ops.sparse import check_rows
from minigen.plots import report

IDS = [
    "007",
    "7",
    " 7",
    "9223372036854775808",
    "-9223372036854775809",
    "1e3",
    "🎸",
    'a "b"',
    "x,y",
    "<b>&",
    "NaN",
]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_ids_survive_a_round_trip(suffix: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"user": IDS, "item": IDS[::-1], "item_name": [f"the {i}\nof it" for i in IDS[::-1]]}
    )
    frame.write_parquet(tmp_path / "before.parquet")
    events = read_events(tmp_path / "before.parquet")
    write_events(events, tmp_path / f"after{suffix}")
    again = read_events(tmp_path / f"after{suffix}")
    assert again.collect().rows() == events.collect().rows() == list(zip(IDS, IDS[::-1]))
    assert again.item_names == events.item_names
    assert sorted(to_interactions(again).users) == sorted(IDS)


def test_numbers_of_json_lines_keep_their_digits_or_are_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.jsonl", '{"user":18446744073709551615,"item":"1e+20"}\n{"user":"00","item":-0.5}\n'
    )
    assert read_events(path).collect().rows() == [("18446744073709551615", "1e+20"), ("00", "-0.5")]
    path = write(tmp_path, "b.jsonl", '{"user":1,"item":1}\n{"user":1,"item":18446744073709551616}\n')
    assert "line 2: the item is a number of more digits" in refused(path)
    path = write(tmp_path, "c.jsonl", '{"us\'er":1,"item":2}\n')
    assert read_events(path, user="us'er").collect().rows() == [("1", "2")]


def test_quotes_lines_and_ten_megabytes_in_one_field(tmp_path: Path) -> None:
    long = "x\n" * 5_000_000
    path = write(tmp_path, "a.csv", f'user,item,item_name\r\n1,"a ""b""","{long}"\r\n')
    events = read_events(path)
    assert events.collect().rows() == [("1", 'a "b"')]
    assert events.item_names == {'a "b"': long}
    assert "columns are 'xxxx" in refused(write(tmp_path, "b.csv", "x" * 10_000_000))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("twice.csv", "user,item,user\n1,2,3\n", "'user' of the user stands twice"),
        ("deep.jsonl", '{"user":' + "[" * 100_000 + "]" * 100_000 + "}\n", "line 1: is not a JSON object"),
        ("late.csv", "user,item,time\n1,2,4611686018427387904\n", "'4611686018427387904' is neither"),
        ("heavy.csv", "user,item,weight\n1,2,1e300\n", "add up to more than 3.4e+38"),
        ("sum.csv", "user,item,weight\n1,2,3e38\n1,2,3e38\n", "add up to more than 3.4e+38"),
        ("zstd.csv", b"\x28\xb5\x2f\xfd" + b"0" * 99, "use gzip"),
        ("steer.csv", "us\x1b[2Jer,item\n1,2\n", r"us\x1b[2Jer"),
        ("checksum.csv.gz", gzip.compress(CSV, mtime=0)[:-8] + bytes(8), "CRC"),
    ],
)
def test_what_is_refused_says_why(tmp_path: Path, name: str, content: str | bytes, told: str) -> None:
    assert told in refused(write(tmp_path, name, content))


def test_indices_that_point_outside_do_not_reach_compiled_code(tmp_path: Path) -> None:
    for format in ("csr", "csc"):
        matrix = sparse.eye(6, format=format)
        matrix.indices[3] = 2**30
        sparse.save_npz(tmp_path / "s_adj_mat.npz", matrix)
        assert "no sparse matrix" in refused(tmp_path / "s_adj_mat.npz", partial(use, format="lightgcn"))


def test_ends_of_rows_whose_differences_wrap_do_not_reach_compiled_code(tmp_path: Path) -> None:
    matrix = sparse.eye(4, format="csr", dtype="f4")
    matrix.indptr[:] = [0, 2**31 - 2, -10, 3, 4]
    assert (np.diff(matrix.indptr) > 0).all(), "no check of the differences can see it"
    with pytest.raises(ValueError, match="rows end before they begin"):
        check_rows(matrix)
    sparse.save_npz(tmp_path / "s_adj_mat.npz", matrix)
    assert "no sparse matrix" in refused(tmp_path / "s_adj_mat.npz", partial(use, format="lightgcn"))


def test_numbers_without_a_row_are_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", "\n")
    assert "want 20 rows or more" in refused(path, lambda path: load_vectors(str(path)))


def test_folders_of_published_splits(tmp_path: Path) -> None:
    write(tmp_path, "train.txt", "0 1 2\n1 0 x\n")
    write(tmp_path, "test.txt", "0 3\n")
    assert "whole numbers" in refused(tmp_path, read_lightgcn_split)
    write(tmp_path, "a.train", "1\t2\t3\n1\t3\n")
    write(tmp_path, "a.test", "\n\n")
    assert is_cfgan_split(tmp_path)
    assert refused(tmp_path, read_cfgan_split)


HOSTILE = "<script>alert('x')</script>\x1b[2J\x1b]0;title\x07[bold]&amp;"


def test_names_from_the_data_do_not_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(output.console, "_file", stream)  # `file` would come back as the stream of now
    output.print_table(HOSTILE, ["rank", HOSTILE], [[1, HOSTILE]])
    output.console.print(HOSTILE)
    output.console.print("[/x] :x: [link=http://example.com]y[/link]")
    assert "\x1b" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()
    assert stream.getvalue().count("[bold]") >= 1
    assert "[/x] :x: [link=http://example.com]y[/link]" in stream.getvalue()


def test_names_from_the_data_stay_text_in_a_page() -> None:
    parts = [report.heading(HOSTILE), report.paragraph(HOSTILE), report.commands([HOSTILE])]
    parts += [report.picture(b"", HOSTILE + '"'), report.table([HOSTILE], [[HOSTILE]])]
    page = report.page(HOSTILE, parts)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 8
