"""Protocols: a name for one piece of work, and no figure beside another's."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from test_recommender import split_of_groups

from minigen.cli.evaluate import evaluate
from minigen.data import given_split, load, protocol_split, protocols, read_lightgcn_split
from minigen.data.interactions import HeldOut, Split
from minigen.data.protocols import PROTOCOLS, Protocol, Work, pairs_digest, recognise, work_of
from minigen.data.published import PUBLISHED, Published
from minigen.errors import InputError
from minigen.evaluation.bootstrap import paired_bootstrap
from minigen.evaluation.evaluate import evaluate as evaluated
from minigen.evaluation.metrics import parse_metric
from minigen.ladder import ItemKNN
from minigen.recommender import Popularity
from minigen.recommender.runs import write_split

DATA = Path(os.environ.get("MINIGEN_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")


def want(folder: str) -> Path:
    if not (DATA / folder).exists():
        pytest.skip(f"the data folder has no {folder}")
    return DATA / folder


def test_digest_of_whole_numbers_is_that_of_sorted_int64_pairs():
    rng = np.random.default_rng(0)
    matrix = csr_matrix(rng.random((6, 5)) < 0.5)
    users, items = ["30", "4", "11", "0", "7", "100"], ["9", "10", "2", "333", "1"]
    pairs = sorted((int(users[u]), int(items[i])) for u, i in zip(*matrix.nonzero()))
    by_hand = hashlib.sha256(b"".join(n.to_bytes(8, "little") for pair in pairs for n in pair)).hexdigest()
    assert pairs_digest(matrix, users, items) == by_hand
    order, columns = rng.permutation(6), rng.permutation(5)
    moved = csr_matrix(matrix[order][:, columns])
    assert pairs_digest(moved, [users[n] for n in order], [items[n] for n in columns]) == by_hand
    assert pairs_digest(matrix, [*users[:-1], "101"], items) != by_hand


def test_digest_of_text_keeps_leading_zeros_apart():
    one = csr_matrix(np.ones((1, 1)))
    assert pairs_digest(one, ["007"], ["a"]) == hashlib.sha256(b"007\ta\n").hexdigest()
    assert len({pairs_digest(one, [user], [item]) for user in ("7", "07") for item in ("7", "07")}) == 4


def test_work_is_catalogue_shown_and_target_whatever_the_order():
    split = split_of_groups()
    held, items = split.test, split.items
    work = work_of(held, items)
    back = HeldOut(held.fold_in[::-1], held.target[::-1], held.users[::-1])
    assert work_of(back, items) == work
    fewer = held.fold_in.tolil()
    fewer[0, held.fold_in[0].indices[0]] = 0
    for other, says in (
        (work_of(HeldOut(fewer.tocsr(), held.target, held.users), items), "other items shown"),
        (
            work_of(HeldOut(held.fold_in, held.target, ["x", *held.users[1:]]), items),
            "other items to be found",
        ),
        (work._replace(n_items=33), "catalogues of 32 and 33 items"),
    ):
        assert not work.is_in(other)
        assert work.apart(other) == says
    open_work = work._replace(shown="")
    assert open_work.is_in(work)
    assert not open_work.is_in(work._replace(target="other"))


def test_embedded_protocols_are_their_work_at_seed_0_alone():
    for name in ("online-retail", "online-retail-raw", "online-retail-time"):
        split = protocol_split(name)
        assert recognise(work_of(split.test, split.items)) == PROTOCOLS[name]
    other = protocol_split("online-retail-raw", seed=1)
    assert recognise(work_of(other.test, other.items)) is None
    with pytest.raises(InputError, match="lightgcn-gowalla is measured on files"):
        protocol_split("lightgcn-gowalla")


def test_gowalla_is_the_lightgcn_protocol():
    split = read_lightgcn_split(want("gowalla"))
    assert recognise(work_of(split.test, split.items)) == PROTOCOLS["lightgcn-gowalla"]


def test_ml_100k_is_the_cfgan_protocol():
    folder = want("ml-100k-cfgan")
    train, test = (load(folder / f"ML100K.{part}", format="triples") for part in ("train", "test"))
    split = given_split(train, test, "ml-100k")
    assert recognise(work_of(split.test, split.items)) == PROTOCOLS["cfgan-ml-100k"]


def test_published_rows_name_their_work_their_metrics_and_their_source():
    assert {row.protocol for row in PUBLISHED} <= set(PROTOCOLS)
    for name in {row.protocol for row in PUBLISHED}:
        rows = [row for row in PUBLISHED if row.protocol == name]
        assert len({tuple(row.metrics) for row in rows}) == 1  # they make one table
        kinds = {parse_metric(metric).name for row in rows for metric in row.metrics}
        assert len(kinds & {"recall", "recall_min"}) == 1  # a table speaks of one recall
    for row in PUBLISHED:
        assert all(0 < figure < 1 for figure in row.metrics.values())
        assert row.source[-4:].isdigit()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two models of the same work, one of other work, and the split."""
    folder, split = tmp_path_factory.mktemp("runs"), split_of_groups()
    less = HeldOut(split.test.fold_in[1:], split.test.target[1:], split.test.users[1:])
    for name, model, data in (
        ("popularity", Popularity(), split),
        ("itemknn", ItemKNN(), split),
        ("other", Popularity(), replace(split, test=less)),
    ):
        write_split(folder / name, data)
        model.fit(data.train).save(folder / name)
    return folder, split


def call(*runs: Path, protocol=None, metrics="recall@8,coverage@8", part="test", file=None):
    evaluate(list(runs), protocol=protocol, metrics=metrics, part=part, json=file)
    return json.loads(file.read_text()) if file else None


def test_two_runs_are_compared_user_by_user(runs, tmp_path, capsys):
    folder, split = runs
    result = call(folder / "popularity", folder / "itemknn", file=tmp_path / "e.json")
    first, second = result["rows"]
    assert (first["model"], second["model"]) == ("popularity", "itemknn")
    assert "differences" not in first
    models = (ItemKNN().fit(split.train), Popularity().fit(split.train))
    one, two = (evaluated(model, split.test, ("recall@8",)).per_user["recall@8"] for model in models)
    assert second["differences"] == {"recall@8": paired_bootstrap(one, two)._asdict()}
    assert second["differences"]["recall@8"]["low"] > 0
    printed = capsys.readouterr().out
    assert "paired bootstrap" in printed
    assert "no published row" in printed


def test_other_work_is_refused(runs):
    folder, _ = runs
    with pytest.raises(InputError, match=r"other and .*popularity were not measured on the same work"):
        call(folder / "popularity", folder / "other")
    with pytest.raises(
        InputError, match=r"not measured on lightgcn-gowalla \(catalogues of 32 and 40,981 items"
    ):
        call(folder / "popularity", protocol="lightgcn-gowalla")
    with pytest.raises(InputError, match="no protocol 'gowalla'; there are online-retail, "):
        call(folder / "popularity", protocol="gowalla")
    with pytest.raises(InputError, match="no held-out part 'validation'"):
        call(folder / "popularity", part="validation")


def known_work(monkeypatch, split: Split) -> None:
    """Give the work of `split` a name and a published row."""
    work = work_of(split.test, split.items)
    monkeypatch.setitem(PROTOCOLS, "groups", Protocol("groups", "four groups of items", work))
    rows = (Published("groups", "Oracle", {"recall_min@5": 0.75}, "Nobody 2020"), *PUBLISHED)
    monkeypatch.setattr("minigen.data.published.PUBLISHED", rows)


def test_known_work_is_shown_beside_what_is_published_with_both_recalls(runs, monkeypatch, tmp_path, capsys):
    folder, split = runs
    known_work(monkeypatch, split)
    result = call(folder / "itemknn", protocol="groups", metrics=None, file=tmp_path / "e.json")
    assert set(result["rows"][0]["metrics"]) == {"recall@5", "recall_min@5"}
    assert result["settings"]["protocol"] == "groups"
    assert [row["model"] for row in result["settings"]["published"]] == ["Oracle"]
    printed = capsys.readouterr().out
    assert "Oracle" in printed
    assert "Nobody 2020" in printed
    assert "LightGCN" not in printed
    assert "recall_min@k is hits / min(k, |T|)" in printed
    call(folder / "itemknn")  # recognised without being told
    assert "Oracle" in capsys.readouterr().out
    monkeypatch.setattr("minigen.data.published.PUBLISHED", PUBLISHED)
    call(folder / "itemknn")  # work that nobody has published on
    printed = capsys.readouterr().out
    assert "This is the work of groups: four groups of items." in printed
    assert "recall_min@k is" not in printed
    with pytest.raises(InputError, match=r"other was not measured on groups \(other items to be found\)"):
        call(folder / "itemknn", folder / "other", protocol="groups")


def test_a_protocol_is_found_by_its_name():
    assert protocols.find_protocol("mult-vae-ml-20m").work == Work(
        20108, "", "f6e0a437f49a9547314b8f29c4dadc14e406fce20c21febddfc4930eca8ffe0f"
    )
    assert all(name == protocol.name and protocol.about for name, protocol in PROTOCOLS.items())
