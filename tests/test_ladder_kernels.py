"""Every rung of the ladder computes the dense layer, at any size; and the bench tells of each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.backends.ladder import RUNGS
from minigen.backends.ladder.register_tiles import BAND, COLUMNS, DEPTH, LINE, ROWS
from minigen.backends.ladder.rung import Rung
from minigen.bench import ladder as bench
from minigen.errors import InputError
from minigen.plots.ladder import ladder_figure
from minigen.plots.style import png

FAST = [rung for rung in RUNGS if rung.name != "loops"]


def sizes(*edges: int) -> st.SearchStrategy[int]:
    """0, 1, a prime, and every edge with its neighbours."""
    return st.sampled_from(sorted({0, 1, 7, *(edge + d for edge in edges for d in (-1, 0, 1))}))


def assert_computes_the_layer(rung: Rung, shape: tuple[int, int, int], dtype: type, strided: bool) -> None:
    (n, terms, width), rng = shape, np.random.default_rng(sum(shape))
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in ((n, terms), (terms, width), width))
    if strided:
        x, w, b = np.repeat(x, 2, axis=1)[:, ::2], np.asfortranarray(w), np.repeat(b, 2)[::2]
    before = [array.copy() for array in (x, w, b)]
    y = rung(x, w, b)
    assert (y.dtype, y.shape, y.flags.c_contiguous) == (np.dtype(dtype), (n, width), True)
    exact = x.astype(float) @ w.astype(float) + b
    bound = np.abs(x).astype(float) @ np.abs(w).astype(float) + np.abs(b)  # of what rounding can do
    assert np.all(np.abs(y - exact) <= (terms + 2) * np.finfo(dtype).eps * bound)
    assert all(map(np.array_equal, (x, w, b), before))


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rung", FAST, ids=lambda rung: rung.name)
@settings(max_examples=40, deadline=None)
@given(sizes(ROWS, BAND), sizes(COLUMNS, 17), sizes(COLUMNS, LINE, 37), st.booleans())
def test_every_rung_computes_the_layer(rung, dtype, n, terms, width, strided):
    assert_computes_the_layer(rung, (n, terms, width), dtype, strided)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 0, 3), (2, 3, 0), (1, 1, 1), (3, 5, 2)])
def test_python_computes_the_layer(shape, dtype):
    assert_computes_the_layer(RUNGS[0], shape, dtype, strided=True)


def test_the_widest_dtype_wins():
    x, w, b = np.ones((1, 2), np.float32), np.full((2, 1), 0.1), np.ones(1, np.float32)
    y = RUNGS[0](x, w, b)
    assert y.dtype == np.float64
    assert y == pytest.approx(1.2, rel=1e-15)


@pytest.mark.kernels
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_long_sums_are_added_piece_by_piece(dtype, more):
    terms = 2 * DEPTH // np.dtype(dtype).itemsize + more
    assert_computes_the_layer(
        next(r for r in RUNGS if r.name == "tiles"), (4, terms, 5), dtype, strided=False
    )


def test_zeros_that_fill_a_tile_meet_no_infinity():
    tiles = next(rung for rung in RUNGS if rung.name == "tiles")
    x, w, b = np.full((2, 3), np.inf), np.ones((3, 2)), np.array([0.0, -1.0])
    assert np.array_equal(tiles(x, w, b), np.full((2, 2), np.inf))


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_shapes_that_do_not_fit_are_named(rung):
    with pytest.raises(ValueError, match=r"x: want shape \(any, 3\), got \(2, 4\)"):
        rung(np.ones((2, 4)), np.ones((3, 5)), np.ones(5))
    with pytest.raises(ValueError, match=r"b: want shape \(5\), got \(1,\)"):
        rung(np.ones((2, 3)), np.ones((3, 5)), np.ones(1))


SIMULATION = """
import warnings
warnings.simplefilter("ignore")  # Numba's own CUDA part announces its successor
from test_ladder_kernels import assert_computes_the_layer
from minigen.backends.ladder.cuda_rungs import CUDA_RUNGS
import numpy as np
for rung in CUDA_RUNGS:
    rows, columns = rung.home.TILE
    tiny = [(0, 2, 3), (2, 0, 3), (2, 3, 0), (1, 1, 1)]
    for shape in [*tiny, (rows + 1, 9, columns - 1), (rows - 1, 7, columns + 1)]:
        assert_computes_the_layer(rung, shape, np.float32, strided=False)
    assert_computes_the_layer(rung, (rows, 8, columns), np.float64, strided=True)
    print(rung.name)
"""


def test_cuda_rungs_compute_the_layer_in_the_simulator():
    done = subprocess.run(
        [sys.executable, "-c", SIMULATION],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["cuda-naive", "cuda-shared", "cuda-registers"]


@pytest.fixture(scope="module")
def rows():
    return bench.ladder((3, 8), repeats=2, seconds=1)


def test_the_bench_has_a_row_for_every_rung_size_and_thread_count(rows):
    climbed = {(row["rung"], row["size"]) for row in rows if row["threads"] == 1}
    assert climbed == {(name, size) for name in ("matmul", *(rung.name for rung in RUNGS)) for size in (3, 8)}
    for row in rows:
        assert row["gflops"] * row["median_ms"] == pytest.approx(2e-6 * row["size"] ** 3)
        assert row["ratio"] == 1 or row["rung"] != "matmul"
        assert row["peak_share"] > 0
    assert max(row["peak_share"] for row in rows if row["rung"] == "matmul") == 1


def test_the_figure_names_every_rung(rows):
    figure = ladder_figure(rows)
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {row["rung"] for row in rows}
    assert png(figure).startswith(b"\x89PNG")


def test_the_bench_leaves_threads_as_it_found_them():
    import numba

    numba.set_num_threads(1)
    bench.ladder((2,), repeats=1)
    assert numba.get_num_threads() == 1


@pytest.mark.parametrize("wrong", [{"sizes": ()}, {"sizes": (0,)}, {"sizes": (4,), "repeats": 0}])
def test_sizes_and_repeats_that_measure_nothing_are_refused(wrong):
    with pytest.raises(InputError, match="want at least 1 each"):
        bench.ladder(**wrong)


class Features(dict):
    def flatten(self):
        return ",".join(f"+{name}" for name in self)


@pytest.mark.parametrize("has, loaded, message", [(False, False, "AVX-512"), (True, True, "before Numba")])
def test_a_choice_of_vectors_needs_such_a_processor_and_a_fresh_process(monkeypatch, has, loaded, message):
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: Features(avx512f=has))
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "as before")
    if not loaded:
        monkeypatch.delitem(sys.modules, "numba")
    with pytest.raises(InputError, match=message):
        bench.choose_vectors(512)
    assert os.environ["NUMBA_CPU_FEATURES"] == "as before"


@pytest.mark.parametrize("bits, sign", [(256, "+"), (512, "-")])
def test_a_choice_of_vectors_is_left_where_numba_will_read_it(monkeypatch, bits, sign):
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: Features(avx512f=True))
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "as before")
    monkeypatch.delitem(sys.modules, "numba")
    bench.choose_vectors(bits)
    assert os.environ["NUMBA_CPU_FEATURES"] == f"+avx512f,{sign}prefer-256-bit"


WIDTH = """
import sys
from minigen.bench import ladder
ladder.choose_vectors(int(sys.argv[1]))
print(ladder.ladder((64,), repeats=1)[-1]["vector_bits"])
"""


@pytest.mark.parametrize("bits", [256, 512])
def test_vectors_are_as_wide_as_asked_for(bits):
    from llvmlite.binding import get_host_cpu_features

    if not get_host_cpu_features().get("avx512f"):
        pytest.skip("no choice of vectors on this processor")
    command = [sys.executable, "-c", WIDTH, str(bits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == bits
