"""Written tables: they read back as they were, and a failed write leaves the old one."""

import pytest
from test_data import refused, write

from minigen.data import read_events, write_events
from minigen.data.simulate import simulate


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_written_events_read_back(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    events, _ = simulate(15, 10, seed=1)
    write_events(events, path)
    back = read_events(path)
    assert back.collect().equals(events.collect())
    assert back.item_names == {item: events.item_names[item] for item in back.item_names}
    assert set(back.item_names) == set(events.collect()["item"])
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write(tmp_path, "out.csv", "old")
    source = write(tmp_path, "a.csv", "user,item\n" + "1,2\n" * 9)
    events = read_events(source)
    source.write_text("user,item\n1,2,3,4\n")  # gone bad since
    refused(lambda: write_events(events, path), "cannot be written")
    assert path.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [source, path]
    refused(lambda: write_events(events, tmp_path / "no" / "out.csv"), "no such folder")
    refused(lambda: write_events(events, tmp_path / "out.csv.gz"), "leave .gz out")
