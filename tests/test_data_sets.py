"""The embedded set, its cleaning and its protocols; the published formats."""

import os
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.sparse import bmat, csr_matrix, save_npz

from minigen.data import (
    given_split,
    load,
    protocol_interactions,
    protocol_split,
    read_lightgcn_split,
    read_movielens,
    read_retailrocket,
    with_validation,
)
from minigen.data.online_retail import cleaning_report, load_clean, load_raw, load_table, net_cancellations
from minigen.errors import InputError

SHARED = Path(os.environ.get("MINIGEN_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


def shared(name):
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not at hand; MINIGEN_DATA names the folder that holds it")
    return SHARED / name


def test_online_retail_as_published():
    interactions = protocol_interactions("online-retail-raw")
    assert interactions.matrix.shape == (4078, 3149)
    assert interactions.matrix.nnz == 265_075
    assert set(interactions.matrix.data) == {1.0}
    assert interactions.name("85123A") == "WHITE HANGING HEART T-LIGHT HOLDER"


def test_online_retail_cleaned():
    assert load_table().height == 541_909
    report = cleaning_report()
    assert {row.rule: row.removed for row in report} == {
        "rows without a customer": 135_080,
        "codes that are no product": 1_920,
        "price not above 0": 33,
        "repeated lines of an invoice": 5_220,
        "cancellations": 8_506,
        "purchases cancelled": 2_768,
    }
    left = 541_909
    for row in report:
        left -= row.removed
        assert row.left == left
    events = load_clean(cancellations=True)
    assert events.info()["behaviours"] == {"purchase": left, "cancellation": 8_506}
    codes = set(events.collect()["item"])
    assert not codes & {"POST", "M", "D", "C2", "DOT", "BANK CHARGES", "PADS", "CRUK"}
    assert events.item_names["85123A"] == "White Hanging Heart T-light Holder"


def test_no_row_of_the_original_is_lost(tmp_path):
    original = pl.read_parquet(shared("online-retail/online_retail.parquet"))
    table = load_table()
    assert table.height == original.height
    assert table["quantity"].sum() == original["Quantity"].cast(pl.Int64).sum()
    assert table["user"].drop_nulls().sort().equals(original["CustomerID"].drop_nulls().sort().alias("user"))


def retail(*rows):
    """Rows of (invoice, user, item, quantity), an hour apart."""
    data = [(*row, datetime(2011, 1, 1, hour)) for hour, row in enumerate(rows)]
    return pl.DataFrame(data, schema=["invoice", "user", "item", "quantity", "time"], orient="row")


def test_a_cancellation_takes_from_the_latest_earlier_purchases():
    left = net_cancellations(
        retail(
            ("1", "anna", "cup", 5),
            ("C2", "anna", "pot", -1),  # bought before the table begins
            ("3", "anna", "cup", 3),
            ("C4", "anna", "cup", -4),  # all of 3, one of 1
            ("5", "bert", "cup", 4),  # another customer
            ("6", "anna", "cup", 2),  # later than the cancellation
            ("7", "anna", "pot", 1),
        )
    )
    assert left.select("invoice", "quantity").rows() == [("1", 4), ("5", 4), ("6", 2), ("7", 1)]


def test_protocols_hold_500_and_500_customers_out():
    for name in ("online-retail-raw", "online-retail"):
        split = protocol_split(name, seed=1)
        assert split.name == name
        assert (len(split.validation.users), len(split.test.users)) == (500, 500)
        assert split.item_names[split.items[0]]
    with pytest.raises(InputError, match="online-retail-raw"):
        protocol_split("online")


def test_movielens_editions_agree(tmp_path):
    rows = [("1", "10", "4.0", "1000000000"), ("2", "9", "3.5", "1000000001")]
    editions = {
        "u.data": ("\t", "", "u.item", "9|Café (1990)|x\n10|Heat|y\n", "latin-1"),
        "ratings.dat": ("::", "", "movies.dat", "9::Café (1990)::Drama\n10::Heat::Crime\n", "latin-1"),
        "ratings.csv": (
            ",",
            "userId,movieId,rating,timestamp\n",
            "movies.csv",
            "movieId,title\n9,Café (1990)\n10,Heat\n",
            "utf-8",
        ),
    }
    for name, (separator, header, titles, text, encoding) in editions.items():
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_text(header + "".join(separator.join(row) + "\n" for row in rows))
        (folder / titles).write_text(text, encoding=encoding)
        events = load(folder)
        assert sorted(events.collect().select("user", "item", "weight").rows()) == [
            ("1", "10", 4.0),
            ("2", "9", 3.5),
        ]
        assert events.item_names == {"9": "Café (1990)", "10": "Heat"}
        assert events.info()["first"].startswith("2001-09-09")
        assert read_movielens(folder, min_rating=3.5).info()["events"] == 2
        assert read_movielens(folder / name, rating_above=3.5).info()["events"] == 1
        assert load(folder / name, min_weight=4.0).info()["events"] == 1
    with pytest.raises(InputError, match=r"ratings\.dat"):
        read_movielens(tmp_path)


def test_taobao_and_retailrocket_speak_the_same_words(tmp_path):
    (tmp_path / "UserBehavior.csv").write_text(
        "1,2,3,pv,1511544070\n1,2,3,buy,1511544071\n1,2,3,fav,1511544072\n"
    )
    taobao = load(tmp_path / "UserBehavior.csv", weights={"view": 0.1, "purchase": 1, "favourite": 0.3})
    assert taobao.collect()["weight"].to_list() == [0.1, 1.0, 0.3]
    path = tmp_path / "events.csv"
    path.write_text(
        "timestamp,visitorid,event,itemid,transactionid\n1433221332117,1,view,2,\n1433221332118,1,addtocart,2,\n"
        "1433221332119,1,transaction,2,7\n"
    )
    assert load(path, "retailrocket").collect()["behaviour"].to_list() == ["view", "cart", "purchase"]


def test_retailrocket_archive(tmp_path):
    info = read_retailrocket(shared("retailrocket/Retailrocket_Ecommerce.zip")).info()
    assert info["behaviours"] == {"view": 78_371, "cart": 9_028, "purchase": 5_088}
    assert info["users"] == 3_431
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match="zip"):
        read_retailrocket(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("readme", "nothing")
    with pytest.raises(InputError, match="no view"):
        read_retailrocket(tmp_path / "b.zip")


def test_lightgcn_text(tmp_path):
    (tmp_path / "train.txt").write_text("0 1 2\n1 0\n2\n3 3 1 \n")
    (tmp_path / "test.txt").write_text("0 0\n2 1\n")
    split = read_lightgcn_split(tmp_path)
    expected = [[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]]
    np.testing.assert_array_equal(split.train.toarray(), expected)
    assert split.test.users == ["0", "2"]
    np.testing.assert_array_equal(split.test.target.toarray(), [[1, 0, 0, 0], [0, 1, 0, 0]])
    assert load(tmp_path / "train.txt", "lightgcn").info()["events"] == 5
    (tmp_path / "test.txt").write_text("0 1\n")
    with pytest.raises(InputError, match="1 pairs are in train and in test"):
        read_lightgcn_split(tmp_path)
    save_npz(tmp_path / "s_adj_mat.npz", bmat([[None, [[1, 1]]], [[[1], [1]], None]]))  # a user, two items
    (tmp_path / "test.txt").write_text("0 2\n")
    with pytest.raises(InputError, match="names users or items beyond the 1 x 2 of train"):
        read_lightgcn_split(tmp_path)
    save_npz(tmp_path / "s_adj_mat.npz", csr_matrix(np.eye(3)))
    with pytest.raises(InputError, match="is not the adjacency matrix of 1 users and their items"):
        read_lightgcn_split(tmp_path, n_users=1)
    (tmp_path / "test.txt").write_text("0 x\n")
    with pytest.raises(InputError, match="whole numbers"):
        read_lightgcn_split(tmp_path)


@pytest.mark.parametrize(
    "name, shape, n_train, n_test",
    [("gowalla", (29_858, 40_981), 810_128, 217_242), ("taobao/buy", (15_449, 11_953), 92_180, None)],
)
def test_published_lightgcn_folders(name, shape, n_train, n_test):
    split = read_lightgcn_split(shared(name))
    assert split.train.shape == shape
    assert split.train.nnz == n_train
    assert n_test is None or split.test.target.nnz == n_test


def test_published_split_of_two_tables():
    folder = shared("ml-100k-cfgan")
    parts = [load(folder / f"ML100K.{part}", "triples") for part in ("train", "test")]
    split = with_validation(given_split(*parts, "ml-100k"), 0.1, seed=0)
    assert split.test.fold_in.shape == (943, 1653)
    assert (split.test.fold_in.nnz, split.test.target.nnz) == (80_000, 19_963)
    assert split.train.nnz + split.validation.target.nnz == 80_000
    assert split.test.users == split.train_users  # all 943 are measured
    assert (split.train + split.test.target).max() == 1  # no pair is in both
    few = with_validation(given_split(*parts, "ml-100k"), 0.1, seed=0, most=100)
    assert len(few.validation.users) == 100
    assert few.train.nnz + few.validation.target.nnz == 80_000  # the others keep their rows whole


def test_raw_and_clean_differ_only_as_said():
    raw, clean = load_raw().info(), load_clean().info()
    assert raw["behaviours"] == {"purchase": 397_884}
    assert clean["events"] < raw["events"]
