"""A disk that is full, or takes no more writes, in the middle of a run."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from minigen.errors import InputError
from minigen.files import write_text, writing
from minigen.recommender import MultVAE
from minigen.training import checkpoint

SETTINGS = ["--k-core", "1", "--set", "hidden=300", "--set", "latent=100", "--set", "epochs=2"]
SMALL, LARGE = ({"weights": {"w": np.full(size, 2.0)}} for size in (10, 100_000))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    if sys.platform == "win32" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def refused(out: Path, events: Path) -> str:
    """The one line with which training into `out` ends."""
    events.write_text("user,item\n" + "".join(f"{n % 60},{n % 25}\n" for n in range(300)))
    command = [sys.executable, "-m", "minigen", "train", events, *SETTINGS, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("minigen: ")
    return line


def test_a_full_disk_is_one_line_and_leaves_no_half_of_a_checkpoint(disk: Path, tmp_path: Path) -> None:
    assert "No space left" in refused(disk / "run", tmp_path / "events.csv")
    left = [p for p in disk.rglob("*") if ".tmp" in p.name or p.name.startswith("step-")]
    assert left == []


def test_a_disk_without_writes_is_one_line(disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert "Read-only file system" in refused(disk / "run", tmp_path / "events.csv")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_the_last_good_checkpoint_stays(disk: Path, fault: str) -> None:
    checkpoint.save(disk, 1, SMALL, {"seen": 7})
    if fault == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(InputError, match="what was there before is untouched"):
        checkpoint.save(disk, 2, LARGE if fault == "full" else SMALL, {"seen": 8})
    arrays, state = checkpoint.load(disk)
    assert (state["step"], state["seen"]) == (1, 7)
    np.testing.assert_array_equal(arrays["weights"]["w"], SMALL["weights"]["w"])
    assert sorted(path.name for path in disk.iterdir()) == ["LATEST", "step-1"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o500)
    assert "Permission denied" in refused(folder / "run", tmp_path / "events.csv")


def test_a_folder_stays_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename = tmp_path / "rows", Path.replace

    def write(name: str) -> None:
        with writing(folder, ["old", "new"]) as beside:
            beside.mkdir()
            (beside / name).write_text(name)

    def failing(source: Path, target: Path) -> Path:
        if (source / "new").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(source, target)

    write("old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with pytest.raises(InputError, match="what was there before is untouched"):
            write("new")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["rows", "rows/old"]
    write("new")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["rows", "rows/new"]


def test_what_a_kill_left_half_written_is_gone_after_the_next_write(tmp_path: Path) -> None:
    """Of a picture, which no later checkpoint follows, too; what others keep beside it stays."""
    for name in (".1.tmp.samples.png", ".2.tmp.other.png", ".samples.png", "samples.png"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".1.tmp.step-9").mkdir()
    write_text(tmp_path / "samples.png", "new")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".2.tmp.other.png", ".samples.png", "samples.png", ".1.tmp.step-9"}
    checkpoint.save(tmp_path, 1, SMALL, {})
    assert {path.name for path in tmp_path.iterdir()} == {".samples.png", "samples.png", "LATEST", "step-1"}


def test_what_a_kill_left_beside_a_finished_run_is_gone_when_it_is_resumed(tmp_path: Path) -> None:
    """It fell between the last step's name in LATEST and the end of the step before it."""
    model, rows = MultVAE(hidden=0, latent=2, epochs=1, batch=10), sparse.eye(20, 30, format="csr")
    model.fit(rows, run=tmp_path)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    shutil.copytree(checkpoint.latest_folder(tmp_path), tmp_path / "step-1")
    (tmp_path / ".1.tmp.LATEST").write_text("step-")
    model.fit(rows, run=tmp_path, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    assert not (tmp_path / "step-1").exists()
