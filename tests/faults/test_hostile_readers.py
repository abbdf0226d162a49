"""Readers meet what people export and what others send: they answer, or refuse in one line."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from minigen.data import load, to_interactions
from minigen.data.images import read_idx
from minigen.data.vectors import load_vectors
from minigen.errors import InputError


def use(path: Path, **options: object) -> None:
    """Everything that a command does with an event table before it trains."""
    events = load(path, **options)
    events.collect()
    events.info()
    to_interactions(events)


def packed(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


CSV = (
    "user,item,behaviour,time,weight,item_name\n"
    + '007,a,view,1700000000,1,"A, ""B"""\n7,b,buy,2023-11-14T01:02:03Z,2.5,é🎸\n' * 3
).encode()
LINES = "\n".join(json.dumps({"user": u, "item": i, "weight": 1.5}) for u in range(4) for i in "aé").encode()
FRAME = pl.DataFrame({"user": ["007", "7", "x"] * 50, "item": [1, 2, 3] * 50, "weight": [1.0, 2.0, 3.0] * 50})
IDX = bytes([0, 0, 8, 3]) + np.array([5, 2, 3], ">u4").tobytes() + bytes(range(30))


def adjacency() -> bytes:
    block = sparse.random(4, 6, 0.5, random_state=0).tocsr()
    whole = sparse.bmat([[None, block], [block.T, None]], format="csr")
    return packed(lambda file: sparse.save_npz(file, whole))


def retailrocket() -> bytes:
    def save(file: io.BytesIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("view", "purchase"):
                archive.writestr(f"{name}_ecommerce.dat", "visitorid\titemid\n1\t2\n3\t4\n")

    return packed(save)


# Every reader: the name of a file, its content, and what reads it.
READERS: dict[str, tuple[Callable[[], bytes], Callable[[Path], object]]] = {
    "a.csv": (lambda: CSV, use),
    "a.csv.gz": (lambda: gzip.compress(CSV, mtime=0), use),
    "a.tsv": (lambda: CSV.replace(b",", b"\t"), use),
    "a.jsonl": (lambda: LINES, use),
    "a.jsonl.gz": (lambda: gzip.compress(LINES, mtime=0), use),
    "a.parquet": (lambda: packed(FRAME.write_parquet), use),
    "plain.parquet": (lambda: packed(partial(FRAME.write_parquet, compression="uncompressed")), use),
    "s_adj_mat.npz": (adjacency, partial(use, format="lightgcn")),
    "train.txt": (lambda: b"0 1 2 3\n1 0 2\n2 1\n", partial(use, format="lightgcn")),
    "tabs.txt": (lambda: b"1\t2\t3\t1700000000\n2\t3\t4\t1700000001\n", partial(use, format="triples")),
    "blanks.txt": (lambda: b"1 2 3\n2 3 4\n", partial(use, format="triples")),
    "u.data": (lambda: b"1\t2\t3\t1700000000\n2\t3\t4\t1700000001\n", use),
    "ratings.dat": (lambda: b"1::2::3::1700000000\n2::3::4::1700000001\n", use),
    "ratings.csv": (lambda: b"userId,movieId,rating,timestamp\n1,2,3,1700000000\n", use),
    "UserBehavior.csv": (lambda: b"1,2,3,pv,1700000000\n1,2,3,buy,1700000000\n", use),
    "events.csv": (
        lambda: b"timestamp,visitorid,event,itemid\n1433221332117,257597,view,355908\n",
        partial(use, format="retailrocket"),
    ),
    "retailrocket.zip": (retailrocket, partial(use, format="retailrocket")),
    "rows.npy": (
        lambda: packed(lambda file: np.save(file, np.random.default_rng(0).random((30, 3)))),
        lambda path: load_vectors(str(path)),
    ),
    "rows.csv": (
        lambda: b"\n".join(b"%d,%d" % (n, 2 * n) for n in range(30)),
        lambda path: load_vectors(str(path)),
    ),
    "images-ubyte": (lambda: IDX, read_idx),
    "images-ubyte.gz": (lambda: gzip.compress(IDX, mtime=0), read_idx),
    "images-ubyte.xz": (lambda: lzma.compress(IDX), read_idx),
}
PIECES = [
    *(
        b'"',
        b'""',
        b"\n",
        b"\r",
        b",",
        b"\t",
        b"\0",
        b"\x01",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"::",
        b" ",
    ),
    *(
        b"nan",
        b"inf",
        b"1e400",
        b"-1",
        b"99999999999999999999",
        b"9223372036854775808",
        b"{",
        b"[",
        b"}",
        b"\\",
    ),
    *(b"'", b"0x10", b"\x7f\xff\xff\xff", b"PK\x03\x04", b"\x1f\x8b", "🎸".encode(), b"<script>", b"\x1b[2J"),
]


@cache
def sample(name: str) -> bytes:
    return READERS[name][0]()


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` cut, with bits turned, pieces put in, taken out or repeated."""
    broken = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(broken)))
        stop = min(len(broken), start + draw(st.integers(0, 30)))
        kind = draw(st.sampled_from(["cut", "turn", "put", "replace", "repeat"]))
        if kind == "cut":
            del broken[start:]
        elif kind == "turn" and start < len(broken):
            broken[start] ^= 1 << draw(st.integers(0, 7))
        elif kind in ("put", "replace"):
            piece = draw(st.sampled_from(PIECES) | st.binary(max_size=8))
            broken[start : start if kind == "put" else stop] = piece
        else:
            broken[start:start] = broken[start:stop] * draw(st.sampled_from([1, 3, 50]))
    return bytes(broken)


def answer(read: Callable[[Path], object], path: Path) -> str | None:
    """The one line of a refusal, or None; anything else that is raised is a fault of the reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read(path)
        except InputError as error:
            line = str(error)
            assert "\n" not in line
            assert len(line) <= 1000
            return line
    return None


def refused(path: Path, read: Callable[[Path], object] = use) -> str:
    line = answer(read, path)
    assert line is not None, f"{path.name} was read"
    return line


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name: str) -> None:
    read = READERS[name][1]

    @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged(sample(name)))
    def fuzz(content: bytes) -> None:
        path.write_bytes(content)
        answer(read, path)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(sample(name))
        assert answer(read, path) is None
        fuzz()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
