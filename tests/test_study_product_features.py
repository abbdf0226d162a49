"""`minigen study product-features`: its tables, its last line, its example, and the file beside them."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from test_product_features import NAMES, THINGS, shop

from minigen.application import cold_items, item_features
from minigen.application.cold_items import BOTH, GENERATOR, KNN, Measured
from minigen.application.item_features import name_ngrams
from minigen.cli import main
from minigen.cli.product_features import rows_of


@pytest.fixture
def study(monkeypatch, capsys):
    """The command on a shop of 64 items in which a thing's price is that of its kind; gives what it says."""
    prices = {name: 1.0 + THINGS.index(name.split()[1]) for name in NAMES}
    settings = {"hidden": 24, "latent": 6, "batch": 50, "lr": 5e-3, "dropout": 0.3}
    monkeypatch.setattr("minigen.data.protocol_split", lambda name: shop())
    monkeypatch.setattr("minigen.data.online_retail.item_prices", lambda: prices)
    monkeypatch.setattr("minigen.cli.showcase.SETTINGS", settings)
    monkeypatch.setattr(item_features, "name_ngrams", lambda names: name_ngrams(names, 256))
    monkeypatch.setattr(cold_items, "run", partial(cold_items.run, hidden=(0,)))  # the quicker generator

    def call(*words):
        with pytest.raises(SystemExit) as stop:
            main(["study", "product-features", *map(str, words)])
        said = capsys.readouterr()
        return stop.value.code, said.out, said.err

    return call


def test_figures_are_printed_with_an_example_and_written(study, tmp_path):
    file = tmp_path / "s.json"
    code, said, _ = study("--seeds", 2, "--json", file)
    assert not code
    document = json.loads(file.read_text("utf-8"))
    assert (document["command"], document["settings"]["study"]) == ("study", "product-features")
    assert [list(chosen) for chosen in document["settings"]["chosen"]] == [
        ["hidden", "power", "price", "sharpness", "weight"]
    ] * 2
    rows = {(row["work"], row["model"]): row for row in document["rows"]}
    assert {work for work, _ in rows} == {"cold", "warm"}
    assert rows["cold", GENERATOR]["metrics"]["ndcg@20"] > rows["cold", "chance"]["metrics"]["ndcg@20"] + 0.1
    for row in rows.values():
        assert len(row["by_seed"]) == 2
        assert f"{row['metrics']['recall@20']:.4f} ± {row['se']['recall@20']:.4f}" in said
    added = rows["cold", BOTH]["more_than_neighbours"]
    assert rows["cold", KNN]["more_than_neighbours"]["difference"] == 0
    words = " ".join(said.split())
    assert f"in NDCG@20: {added['difference']:+.4f}, 95% interval {added['low']:+.4f}" in words
    assert said.count("chosen on validation: ") == 2
    has, generated, nearest = said.strip().splitlines()[-3:]
    customer, _, history = has.removesuffix(".").partition(" has: ")
    assert customer.startswith("Customer 2-")  # one of the test users
    assert set(history.split("; ")) <= set(NAMES)
    assert generated.startswith("Generated words: ")
    shown = [name.removesuffix(" (bought)") for name in nearest.removesuffix(".").split(": ")[1].split("; ")]
    assert len(set(shown)) == len(shown) == 6
    assert not set(shown) & set(history.split("; "))


def test_without_a_file_it_prints_alone(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, _ = study("--seeds", 1)
    assert not code
    assert "Items without a buyer, 1 divisions" in said
    assert list(tmp_path.iterdir()) == []


def test_no_division_at_all_is_refused(study):
    code, _, error = study("--seeds", 0)
    assert code == 2
    assert "seeds" in error


def test_a_user_of_several_divisions_counts_once_by_their_mean():
    def found(users, ndcg):
        return Measured(users, np.array(ndcg), np.array(ndcg) / 2)

    runs = [
        {"one": found(["a", "b"], [0.2, 0.4]), "other": found(["a", "b"], [0.0, 0.4])},
        {"one": found(["b", "c"], [0.8, 0.9]), "other": found(["b", "c"], [0.2, 0.3])},
    ]
    one, other = rows_of("cold", runs, "other")
    assert (one["model"], one["work"], one["users"]) == ("one", "cold", 3)
    assert one["metrics"] == pytest.approx({"ndcg@20": np.mean([0.2, 0.6, 0.9]), "recall@20": 1.7 / 6})
    assert one["se"]["ndcg@20"] == pytest.approx(np.std([0.2, 0.6, 0.9], ddof=1) / np.sqrt(3))
    assert one["by_seed"] == pytest.approx([0.3, 0.85])
    assert one["more_than_neighbours"]["difference"] == pytest.approx(np.mean([0.2, 0.3, 0.6]))
    assert other["more_than_neighbours"]["difference"] == 0
