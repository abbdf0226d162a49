"""`minigen data`: every way to split a table or what other people publish; converted, simulated, fetched."""

from __future__ import annotations

import json

import pytest

from minigen.cli import main
from minigen.recommender.runs import read_split


def split(tmp_path, *words):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["data", "split", *map(str, words), str(out)])
    assert not stop.value.code
    return read_split(out)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    told = capsys.readouterr().err
    assert (stop.value.code, told.count("\n")) == (2, 1)
    return told


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


def published(tmp_path):
    folder = tmp_path / "lightgcn"
    folder.mkdir()
    (folder / "train.txt").write_text("0 0 1 2\n1 1 2 3\n2 0 3 1\n")
    (folder / "test.txt").write_text("0 3\n1 0\n")
    return folder


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--split", "weak", "--held-out", 7), "--held-out: the split weak does not use it"),
        (("--split", "time", "--held-out", 7), "--held-out: the split time does not use it"),
        (("--split", "rebuy", "--duplicates", "sum"), "--duplicates: the split rebuy does not use it"),
        (("--target", "buy", "--duplicates", "sum"), "--duplicates: the split strong of several behaviours"),
        (("--target", "buy", "--split", "time", "--held-out", 7), "--held-out: the split time of several"),
        (("--test", "test.csv", "--split", "weak"), "--split: a split given by --test does not use it"),
        (("--test", "test.csv", "--k-core", 2), "--k-core: a split given by --test does not use it"),
    ],
)
def test_a_flag_that_a_split_has_no_use_for_is_refused(words, line, events, tmp_path, capsys):
    assert line in refused(capsys, "data", "split", events, tmp_path / "out", *words)


@pytest.mark.parametrize("words", [("--split", "weak"), ("--k-core", 2), ("--user", "u"), ("--test", "x")])
def test_a_published_split_is_taken_as_it_is_or_not_at_all(words, tmp_path, capsys):
    told = refused(capsys, "data", "split", published(tmp_path), tmp_path / "out", *words)
    assert f"{words[0]}: a published split does not use it" in told


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--user", "nonsense"), "online-retail fixes its columns; leave out user"),
        (("--unseen",), "--unseen needs --target"),
        (("--k-core", 10**6), "largest k with something left is"),
        (("--weights", "buy=1"), "no weight for behaviour 'purchase'"),
    ],
)
def test_an_embedded_set_with_other_flags_is_read_as_a_table(words, line, tmp_path, capsys):
    assert line in refused(capsys, "data", "split", "online-retail", tmp_path / "out", *words)


def test_a_remark_wants_a_file_to_go_into(events, tmp_path, capsys):
    for words in (("--add",), ("--note", "by hand")):
        told = refused(capsys, "train", events, "--model", "popularity", "--out", tmp_path / "run", *words)
        assert f"{words[0]}: there is no --json to write to" in told


@pytest.mark.parametrize(
    "words", ["train online-retail", "data split online-retail x", "data simulate x.csv", "trace"]
)
def test_a_seed_below_0_is_refused(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([*words.split(), "--seed", "-1"])
    assert stop.value.code == 2
    assert "--seed" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [None, {"a": 1}, [1], 3])
def test_a_file_without_rows_is_not_added_to(rows, events, tmp_path, capsys):
    file = tmp_path / "f.json"
    words = ("train", events, "--model", "popularity", "--json", file)
    with pytest.raises(SystemExit):
        main([*map(str, words), "--out", str(tmp_path / "one")])
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"rows": rows}), "utf-8")
    told = refused(capsys, *words, "--out", tmp_path / "two", "--add")
    assert f"{file} holds no rows to add to" in told
    assert not (tmp_path / "two").exists()


def test_the_test_part_of_a_split_is_a_file_of_its_own(events, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("user,item\nu0,i1\nu1,i1\n")
    made = split(tmp_path, events, "--test", test)
    assert made.test.users == ["u0", "u1"]
    assert made.test.target.nnz == 2
    assert made.validation is not None


def test_a_folder_of_train_and_test_is_a_split_already(tmp_path):
    lightgcn, cfgan = published(tmp_path), tmp_path / "cfgan"
    cfgan.mkdir()
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


def run(*words, code=0):
    with pytest.raises(SystemExit) as stop:
        main(["data", *map(str, words)])
    assert (stop.value.code or 0) == code


def test_events_are_converted_and_told_about_the_same(events, tmp_path, capsys):
    wide, file = tmp_path / "wide.csv", tmp_path / "c.json"
    text = events.read_text().replace("user,item,time", "who,what,when")
    wide.write_text(text)
    named = ("--user", "who", "--item", "what", "--time", "when")
    run("convert", wide, tmp_path / "out.parquet", *named, "--json", file)
    told = "".join(capsys.readouterr().out.split())
    assert told == f"{wide}->{tmp_path / 'out.parquet'}:user,item,time"
    document = json.loads(file.read_text())
    assert document["settings"] == {"events": str(wide), "user": "who", "item": "what", "time": "when"}
    assert document["rows"][0]["columns"] == ["user", "item", "time"]
    tables = []
    for file in (events, tmp_path / "out.parquet"):
        run("info", file)
        tables.append([line for line in capsys.readouterr().out.splitlines() if "│" in line])
    assert len(tables[0]) > 3
    assert tables[0] == tables[1]
    run("convert", wide, tmp_path / "again.jsonl", *named)
    assert json.loads((tmp_path / "again.jsonl").read_text().splitlines()[0])["user"] == "u0"


def test_a_table_without_a_header_is_read_by_every_command(tmp_path, capsys):
    bare = tmp_path / "bare.csv"
    bare.write_text("".join(f"u{u},i{(u + k) % 5}\n" for u in range(20) for k in range(3)))
    named = ("--header", "user,item")
    run("info", bare, *named)
    assert "60" in capsys.readouterr().out
    run("convert", bare, tmp_path / "named.csv", *named)
    assert (tmp_path / "named.csv").read_text().startswith("user,item\nu0,i0\n")
    assert split(tmp_path, bare, *named, "--split", "weak", "--k-core", 1).train.shape == (20, 5)


def test_simulated_shoppers_are_counted_and_written(tmp_path, capsys):
    out, file = tmp_path / "shop.csv", tmp_path / "s.json"
    run("simulate", out, "--users", 30, "--items", 20, "--json", file)
    (row,) = json.loads(file.read_text())["rows"]
    assert row["users"] == 30
    assert sum(row["behaviours"].values()) == row["events"] == len(out.read_text().splitlines()) - 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"30 users, {row['items']} items" in said
    assert f"{row['behaviours']['view']:,} view" in said


def test_a_set_is_fetched_and_the_next_command_named(tmp_path, monkeypatch, capsys):
    def fetch(name, out, report):
        report(50, 100)
        report(100)
        return out / name

    monkeypatch.setattr("minigen.data.fetch.fetch", fetch)
    run("fetch", "movielens-100k", "--out", tmp_path)
    folder = tmp_path / "movielens-100k"
    said = capsys.readouterr().out
    assert f"{folder} holds movielens-100k." in said
    assert f"train {folder}" in said


def test_a_set_that_nobody_publishes_is_one_line(tmp_path, capsys):
    run("fetch", "movielens-7k", "--out", tmp_path, code=2)
    assert "there is no set 'movielens-7k' to fetch; there are movielens-100k" in capsys.readouterr().err
