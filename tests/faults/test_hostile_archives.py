"""Archives that go off, heads that claim a terabyte, names that leave their folder, code inside data."""

from __future__ import annotations

import gzip
import io
import re
import resource
import zipfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from test_hostile_readers import IDX, packed, refused, sample, use, write

from minigen.data import load
from minigen.data.images import read_idx, read_images
from minigen.data.vectors import load_vectors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def little_memory():
    """A gigabyte more than now, for whoever would need more."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell how much memory a process has")
    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@cache
def zeros(size: int) -> bytes:
    """Gzipped zeros, made without having them."""
    buffer, piece = io.BytesIO(), bytes(2**20)
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
        for _ in range(size // len(piece)):
            file.write(piece)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.csv", "bomb.jsonl.gz", "bomb.txt"])
@pytest.mark.usefixtures("little_memory")
def test_a_gzip_bomb_is_refused_before_it_goes_off(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, gzip.compress(b"user,item\n1,2\n") + zeros(2**27))
    read = partial(use, format="lightgcn") if name.endswith(".txt") else use
    assert "unpacks to more than 200 times" in refused(path, read)


@pytest.mark.parametrize("member", ["view_ecommerce.dat", "data.npy"])
@pytest.mark.usefixtures("little_memory")
def test_a_zip_bomb_is_refused_before_it_goes_off(tmp_path: Path, member: str) -> None:
    path = tmp_path / ("bomb.zip" if member.endswith(".dat") else "bomb.npz")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(member, "w") as file:
        for _ in range(2**7):
            file.write(bytes(2**20))
    read = partial(use, format="retailrocket" if path.suffix == ".zip" else "lightgcn")
    assert "unpacks to more than 200 times" in refused(path, read)


@pytest.mark.usefixtures("little_memory")
def test_a_head_that_claims_a_terabyte(tmp_path: Path) -> None:
    head = bytes([0, 0, 8, 3]) + np.array([2**20, 2**10, 2**10], ">u4").tobytes()
    assert "its head is damaged" in refused(write(tmp_path, "claims-ubyte", head + b"12"), read_idx)
    whole = sample("rows.npy")
    claims = whole.replace(b"(30, 3), ", b"(10**9,)"[:0] + b"(9**9, 3)")[:200]
    assert refused(write(tmp_path, "claims.npy", claims), lambda path: load_vectors(str(path)))
    ones = packed(lambda file: np.savez(file, x=np.zeros((2, 6), np.uint8), y=np.zeros(2)))
    for n in range(10):
        write(tmp_path, f"mnist{n}.npz", ones if n else ones[:-9])
    write(tmp_path, "t10k-images-idx3-ubyte", IDX)
    write(tmp_path, "t10k-labels-idx1-ubyte", bytes([0, 0, 8, 1]) + np.array([5], ">u4").tobytes() + bytes(5))
    assert "is no zip archive" in refused(tmp_path, read_images)


def test_an_archive_cannot_write_outside_of_anything(tmp_path: Path) -> None:
    path = tmp_path / "away.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../view_ecommerce.dat", "visitorid\titemid\n1\t2\n")
    before = sorted(tmp_path.parent.rglob("*"))
    assert load(path, format="retailrocket").collect().height == 1
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_nothing_in_the_tree_runs_code_from_data() -> None:
    """No pickle, eval, exec, marshal, shelve, yaml load, and no NumPy or torch load that allows one."""
    runs = re.compile(
        r"\bpickle\b(?!=False)|(?<![\w.])(?:eval|exec)\(|\b(?:marshal|shelve|joblib|dill)\b|yaml\.\w*load\("
        r"|allow_pickle=True|torch\.load\(|shell=True|os\.system\("
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "minigen").rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if runs.search(line.replace("allow_pickle=False", ""))
    ]
    assert found == []
