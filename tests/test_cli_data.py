"""`minigen data split` takes what other people publish as well as a table, and every way to split it."""

from __future__ import annotations

import pytest

from minigen.cli import main
from minigen.recommender.runs import read_split


def split(tmp_path, *words):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", *map(str, words), str(out)])
    assert not stop.value.code
    return read_split(out)


@pytest.fixture
def events(tmp_path):
    file = tmp_path / "events.csv"
    acts = [(u, k) for u in range(40) for k in range(6)]  # the k-th of a user, all of them at about one time
    lines = [f"u{u},i{(5 * u + 7 * k) % 12},{1_700_000_000 + 1000 * k + u}" for u, k in acts]
    file.write_text("user,item,time\n" + "\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("way", ["strong", "weak", "time", "rebuy"])
def test_every_way_to_split_a_table(way, events, tmp_path):
    made = split(tmp_path, events, "--split", way, "--k-core", 1)
    assert made.train.nnz > 0
    assert made.test.target.nnz > 0
    shown, wanted = made.test.fold_in.toarray() > 0, made.test.target.toarray() > 0
    assert not (shown & wanted).any() or way == "rebuy"


def test_the_test_part_of_a_split_is_a_file_of_its_own(events, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("user,item\nu0,i1\nu1,i1\n")
    made = split(tmp_path, events, "--test", test)
    assert made.test.users == ["u0", "u1"]
    assert made.test.target.nnz == 2
    assert made.validation is not None


def test_a_folder_of_train_and_test_is_a_split_already(tmp_path):
    lightgcn, cfgan = tmp_path / "lightgcn", tmp_path / "cfgan"
    for folder in (lightgcn, cfgan):
        folder.mkdir()
    (lightgcn / "train.txt").write_text("0 0 1 2\n1 1 2 3\n2 0 3 1\n")
    (lightgcn / "test.txt").write_text("0 3\n1 0\n")
    (cfgan / "A.train").write_text("".join(f"{u} {i} 1.0\n" for u in range(3) for i in range(3)))
    (cfgan / "A.test").write_text("0 3 1.0\n")
    assert split(tmp_path / "one", lightgcn).test.target.nnz == 2
    assert split(tmp_path / "two", cfgan).test.target.nnz == 1


def test_a_folder_that_is_there_stays(events, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", str(events), str(tmp_path / "out")])
    assert stop.value.code == 2
    assert "is there already" in capsys.readouterr().err
