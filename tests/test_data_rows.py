"""Rows on the disk: the same matrix, read a batch at a time, and refused where they are damaged."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random

from minigen.data.rows import _ends, open_rows, write_rows
from minigen.errors import InputError


def _matrix(seed=0, shape=(50, 30)):
    rng = np.random.default_rng(seed)
    return csr_matrix(random(*shape, 0.2, random_state=rng, dtype=np.float32))


def test_blocks_become_one_matrix(tmp_path):
    matrix = _matrix()
    write_rows(tmp_path / "rows", lambda: (matrix[start : start + 7] for start in range(0, 50, 7)))
    again = open_rows(tmp_path / "rows", matrix.shape)
    assert (again != matrix).nnz == 0
    assert again.dtype == np.float32
    assert again.has_canonical_format
    assert not again.data.flags.owndata  # it is the file's
    np.testing.assert_array_equal(again[[3, 1, 44]].toarray(), matrix[[3, 1, 44]].toarray())


def test_repeats_are_summed_and_zeros_dropped(tmp_path):
    values, items, starts = np.array([1.0, 2.0, 0.0, 4.0]), np.array([2, 2, 1, 0]), np.array([0, 3, 4])
    messy = csr_matrix((values, items, starts), shape=(2, 3))
    write_rows(tmp_path / "rows", lambda: [messy])
    assert open_rows(tmp_path / "rows", (2, 3)).nnz == 2
    assert messy.nnz == 4
    np.testing.assert_array_equal(open_rows(tmp_path / "rows", (2, 3)).toarray(), [[0, 0, 3], [4, 0, 0]])


@pytest.mark.parametrize("at", [2**31 - 3, 2**31])
def test_rows_after_two_thousand_million_clicks_end_where_they_do(at):
    block = csr_matrix(np.eye(4, 9, dtype=np.float32))
    assert block.indptr.dtype == np.int32
    np.testing.assert_array_equal(_ends(block, at, np.int64), [at + 1, at + 2, at + 3, at + 4])


def test_empty_rows_and_no_clicks_at_all(tmp_path):
    write_rows(tmp_path / "rows", lambda: [csr_matrix((3, 5), dtype=np.float32)])
    assert open_rows(tmp_path / "rows", (3, 5)).nnz == 0


def test_bad_blocks_leave_nothing(tmp_path):
    with pytest.raises(InputError, match="one catalogue"):
        write_rows(tmp_path / "rows", lambda: [_matrix(), _matrix(shape=(4, 31))])
    with pytest.raises(InputError, match="one catalogue"):
        write_rows(tmp_path / "rows", list)
    turns = iter([[_matrix(), _matrix(1)], [_matrix()]])
    with pytest.raises(InputError, match="others when they came again"):
        write_rows(tmp_path / "rows", lambda: next(turns))
    assert not list(tmp_path.iterdir())


def _cut(file):
    file.write_bytes(file.read_bytes()[:-8])


def _objects(file):
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)


def _out_of_range(file):
    array = np.load(file)
    array[3] = 30
    np.save(file, array)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("data.npy", _cut),
        ("indptr.npy", _cut),
        ("indices.npy", _objects),
        ("indices.npy", _out_of_range),
        ("data.npy", lambda file: file.write_bytes(b"\x93NUMPY\x01\x00")),
        ("data.npy", lambda file: file.write_bytes(b"")),
        ("data.npy", lambda file: np.save(file, np.load(file).astype(np.float64))),
        ("indptr.npy", lambda file: file.unlink()),
    ],
)
def test_damaged_rows_are_one_line(tmp_path, name, damage):
    matrix = _matrix()
    write_rows(tmp_path / "rows", lambda: [matrix])
    damage(tmp_path / "rows" / name)
    with pytest.raises(InputError) as caught:
        open_rows(tmp_path / "rows", matrix.shape)
    assert "\n" not in str(caught.value)
    assert "rows" in str(caught.value)


def test_rows_that_end_at_0_after_all_are_refused(tmp_path):
    folder = tmp_path / "rows"
    write_rows(folder, lambda: [csr_matrix(np.eye(3, dtype=np.float32))])
    np.save(folder / "indptr.npy", np.array([0, 2**20, 2**21, 0], np.int32))
    with pytest.raises(InputError, match="rows end before they begin"):
        open_rows(folder, (3, 3))


def test_another_shape_is_refused(tmp_path):
    write_rows(tmp_path / "rows", lambda: [_matrix()])
    with pytest.raises(InputError, match="damaged"):
        open_rows(tmp_path / "rows", (50, 12))
    with pytest.raises(InputError, match="damaged"):
        open_rows(tmp_path / "rows", (49, 30))


_TRAIN = """
import sys
from pathlib import Path
from minigen.data.rows import open_rows
from minigen.recommender import MultVAE

def memory():  # of its own: pages of files do not count
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

rows = open_rows(Path(sys.argv[1]), (int(sys.argv[2]), 300))
model = MultVAE(hidden=0, latent=2, batch=2000, epochs=1)
seen = [memory()]
model.fit(rows, report=lambda *_: seen.append(memory()))
print(max(seen) - seen[0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_training_holds_a_batch_and_not_the_data(tmp_path):
    users, items, clicks = 2000, 300, 100
    rng = np.random.default_rng(0)
    everything = np.tile(np.arange(items, dtype=np.int32), (users, 1))
    columns = np.sort(rng.permuted(everything, axis=1)[:, :clicks]).ravel()
    block = csr_matrix(
        (np.ones(columns.size, np.float32), columns, clicks * np.arange(users + 1)), shape=(users, items)
    )

    def grown(n_blocks):
        write_rows(tmp_path / str(n_blocks), lambda: [block] * n_blocks)
        command = [sys.executable, "-c", _TRAIN, str(tmp_path / str(n_blocks)), str(n_blocks * users)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    data = 50 * (block.data.nbytes + block.indices.nbytes) // 1024  # kB
    assert grown(50) < grown(2) + data / 4
