"""The rungs of the ladder against each other and against BLAS, at growing sizes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigen.bench.race import with_interval
from minigen.errors import InputError

SIZES = (32, 64, 128, 256, 512, 1024)
_SHORT = 2e-3  # seconds: what is faster is repeated until it has taken so long
_FEWEST = 3  # rounds, however long they take


class _Runner(NamedTuple):
    """`prepare` gives the work on some x, w, b; `about` joins each of its rows."""

    prepare: Callable[..., Callable[[], Any]]
    largest: int
    threads: tuple[int, ...]
    about: dict[str, Any]


def ladder(
    sizes: Sequence[int] = SIZES,
    repeats: int = 9,
    seconds: float = 60.0,
    threads: int | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Time y (n, n) = x (n, n) w (n, n) + b in float32: a row a rung, size n and thread count (1, and
    `threads`, by default all).

    In a round everyone has one turn; there are `repeats` rounds, fewer where those of a size would take more
    than `seconds`.  `ratio`: the time of BLAS for x w alone at this size and these threads over the rung's,
    round by round, with its 95% interval; `peak_share`: `gflops` over the most that BLAS reached at any size.
    Raises InputError where a size or `repeats` is below 1.
    """
    import numba

    from minigen.backends.threads import settle

    if not sizes or min(*sizes, repeats) < 1:
        raise InputError(f"sizes and repeats: want at least 1 each, got {list(sizes)} and {repeats}")
    settle()
    counts = tuple(sorted({1, threads or numba.get_num_threads()}))
    with _limited(1):
        runners = _runners(counts)
    turns = [(count, size) for count in counts for size in sorted(set(sizes))]
    rows: list[dict[str, Any]] = []
    for done, (count, size) in enumerate(turns):
        report(done, len(turns))
        rng = np.random.default_rng(size)
        x, w, b = (rng.standard_normal(shape, np.float32) for shape in ((size, size), (size, size), size))
        ready = [r for r in runners if count in r.threads and size <= r.largest]
        with _limited(count):
            times = _rounds([r.prepare(x, w, b) for r in ready], repeats, seconds)
        rows += [r.about | _row(size, count, own, times[0]) for r, own in zip(ready, times)]
    report(len(turns), len(turns))
    peaks = {n: max(r["gflops"] for r in rows if r["threads"] == n and r["rung"] == "matmul") for n in counts}
    return [row | {"peak_share": row["gflops"] / peaks[row["threads"]]} for row in rows]


def _runners(counts: tuple[int, ...]) -> list[_Runner]:
    """Everyone, compiled; BLAS comes first, since the others are measured by it."""
    from minigen.backends.ladder import RUNGS

    tiny = np.ones((2, 2), np.float32), np.ones((2, 2), np.float32), np.ones(2, np.float32)
    matmul = {"op": "dense", "backend": "numpy", "rung": "matmul"}
    runners = [_Runner(lambda x, w, b: partial(np.matmul, x, w), sys.maxsize, counts, matmul)]
    for rung in RUNGS:
        about: dict[str, Any] = {"backend": "python" if rung.name == "loops" else "numba", "rung": rung.name}
        about["first_ms"] = 1e3 * _seconds(partial(rung.kernel, *tiny))
        threads = counts if rung.threads else (1,)
        runners.append(_Runner(partial(partial, rung.kernel), rung.largest, threads, matmul | about))
    vectors = _vectors()
    for runner in runners[1:]:
        runner.about.update(vectors)
    for rung in _cuda_rungs():
        about = {"backend": "cuda", "rung": rung.name, "first_ms": 1e3 * _seconds(partial(rung, *tiny))}
        runners.append(_Runner(rung.prepare, rung.largest, counts[-1:], matmul | about))
    return runners


def _cuda_rungs() -> Sequence[Any]:
    """Those of the GPU, where there is one that is not simulated."""
    from minigen.backends import load

    try:
        load("cuda")
    except InputError:
        return ()
    from minigen.backends.ladder.cuda_rungs import CUDA_RUNGS
    from minigen.ops.cuda_kernels import SIMULATED

    return () if SIMULATED else CUDA_RUNGS


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """BLAS and Numba with so many threads, and afterwards with as many as before."""
    import numba
    from threadpoolctl import threadpool_limits

    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        numba.set_num_threads(before)


def _rounds(work: Sequence[Callable[[], Any]], repeats: int, seconds: float) -> np.ndarray:
    """Seconds of a call (works, rounds)."""
    guesses = [_seconds(run) for run in work]  # wakes threads and caches, too
    times = [max(1, round(_SHORT / guess)) for guess in guesses]
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < min(_FEWEST, repeats) or (len(rounds) < repeats and time.perf_counter() < end):
        rounds.append([_seconds(run, n) for run, n in zip(work, times)])
    return np.array(rounds).T


def _seconds(run: Callable[[], Any], times: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def _row(size: int, threads: int, own: np.ndarray, blas: np.ndarray) -> dict[str, Any]:
    median = float(np.median(own))
    return {
        "size": size,
        "threads": threads,
        "median_ms": 1e3 * median,
        "quartiles_ms": [1e3 * float(q) for q in np.quantile(own, [0.25, 0.75])],
        "rounds": len(own),
        "gflops": 2e-9 * size**3 / median,
        **with_interval("ratio", blas / own),
    }


def _vectors() -> dict[str, Any]:
    """`vector_bits` of the widest registers in the code of the tiles (None: not known for this processor)."""
    from minigen.backends.ladder.register_tiles import _add_tile

    code = "".join(_add_tile.inspect_asm().values())
    found = [bits for name, bits in (("%zmm", 512), ("%ymm", 256), ("%xmm", 128)) if name in code]
    return {"vector_bits": found[0] if found else None}


def choose_vectors(bits: int) -> None:
    """Let Numba use vectors of 256 or 512 bits, in this process, from its first import on.

    Raises InputError where the processor has none of 512, or Numba is here already.
    """
    from llvmlite.binding import get_host_cpu_features

    features = get_host_cpu_features()
    if not features.get("avx512f"):
        raise InputError("this processor has no vectors of 512 bits (AVX-512), and so no choice")
    if "numba" in sys.modules:
        raise InputError("the width of vectors has to be chosen before Numba is imported")
    sign = "+" if bits == 256 else "-"
    os.environ["NUMBA_CPU_FEATURES"] = f"{features.flatten()},{sign}prefer-256-bit"
