"""Backends against each other: a process each, taking turns, so that all meet the same machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigen.bench.machine import Roofline
from minigen.errors import InputError

_TURN_SECONDS = 0.3  # that one backend works on one case before the next has its turn
_MOST = 200  # repeats in a turn


_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_MACHINE, _STEP = "machine", "step"
_COMPARED = 20  # steps whose losses are compared

Times = dict[tuple[str, str], list[list[float]]]  # of a case and a backend: seconds, a list a round


def environment(threads: int) -> dict[str, str]:
    """That of a process which may use so many threads."""
    given = os.environ | {name: str(threads) for name in (*_THREADS, "NUMBA_NUM_THREADS")}
    return given | {"OPENBLAS_THREAD_TIMEOUT": "4"}  # idle threads sleep soon, and leave the cores to others


class Racer:
    """The process of one backend."""

    def __init__(self, preset: str, backend: str, threads: int) -> None:
        self.backend, self.name = backend, _MACHINE if preset == _MACHINE else backend
        self._process = subprocess.Popen(
            [sys.executable, "-m", "minigen.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
        )
        self._tell({"preset": preset, "backend": backend})
        self.cases: dict[str, dict[str, float]] = self._hear()

    def run(self, case: str, times: int, values: bool = False) -> list[float]:
        """Seconds of each of so many runs; with `values`, what each returned."""
        self._tell({"run": case, "times": times, "values": values})
        return self._hear()

    def peak_memory_mb(self) -> float | None:
        """The largest resident size of the process so far."""
        self._tell({})
        return self._hear()

    def close(self) -> None:
        """Let the process go."""
        self._process.communicate()

    def _tell(self, message: dict[str, Any]) -> None:
        print(json.dumps(message), file=self._process.stdin, flush=True)

    def _hear(self) -> Any:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self.close()
            raise InputError(f"{self.backend} ended with code {self._process.returncode}, see above")
        return json.loads(line)


def race(
    preset: str,
    backends: Sequence[str],
    *,
    threads: int,
    rounds: int = 15,
    report: Callable[[int], None] = lambda done: None,
) -> tuple[list[dict[str, Any]], Roofline]:
    """Rows of a case and a backend each, and the roofline of the machine in the same run.

    In a round every backend has one turn at every case, and the machine is probed; a row holds the median
    and the 99th percentile over all runs, quartiles over rounds, the first call (with compilation), and,
    each round by round with its 95% interval, `ratio` = NumPy's time over this one's and `times_floor` =
    this time over the least that the machine's probes of the round allow.
    `against` holds the time of each form of PyTorch over this one's, round by round, with its interval.
    `peak_memory_mb` is that of the process, whatever it has done.
    Raises InputError where a process fails.
    """
    racers: list[Racer] = []
    try:
        for who, backend in [(_MACHINE, "numba"), *((preset, backend) for backend in backends)]:
            racers.append(Racer(who, backend, threads))
        apart = _losses_apart(racers)
        times = _rounds(racers, rounds, report)
        memory = {racer.name: racer.peak_memory_mb() for racer in racers}
    finally:
        for racer in racers:
            racer.close()
    machine, *racers = racers
    probes = [
        Roofline.of(machine.cases, {case: min(times[case, _MACHINE][n]) for case in machine.cases})
        for n in range(rounds)
    ]
    rows = [
        _row(case, racer.backend, times, about, probes)
        | {"threads": threads, "peak_memory_mb": memory[racer.name]}
        | apart.get((case, racer.name), {})
        | _against((case, racer.name), times)
        for racer in racers
        for case, about in racer.cases.items()
    ]
    best = Roofline(*(max(speeds) for speeds in zip(*probes)))
    return sorted(rows, key=lambda row: row["op"]), best


def _losses_apart(racers: list[Racer]) -> dict[tuple[str, str], dict[str, float]]:
    """Of whole steps: the largest relative difference of a loss from NumPy's, over the first steps."""
    losses = {r.name: np.array(r.run(_STEP, _COMPARED, values=True)) for r in racers if _STEP in r.cases}
    reference = losses.get("numpy")
    if reference is None:
        return {}
    return {
        (_STEP, name): {"loss_rel_difference": float(np.max(np.abs(own / reference - 1)))}
        for name, own in losses.items()
    }


def _rounds(racers: list[Racer], rounds: int, report: Callable[[int], None]) -> Times:
    times: Times = defaultdict(list)
    cases = list(dict.fromkeys(case for racer in racers for case in racer.cases))
    for n in range(rounds):
        for case in cases:
            for racer in racers[n % len(racers) :] + racers[: n % len(racers)]:  # nobody is always first
                if case in racer.cases:
                    known = times[case, racer.name]
                    guess = min(known[-1]) if known else racer.run(case, 1)[0]
                    known.append(racer.run(case, int(np.clip(_TURN_SECONDS / guess, 1, _MOST))))
        report(n + 1)
    return times


def _row(
    case: str, backend: str, times: Times, about: dict[str, float], probes: list[Roofline]
) -> dict[str, Any]:
    own, every = _medians(times[case, backend]), np.concatenate(times[case, backend])
    row: dict[str, Any] = {
        "op": case,
        "backend": backend,
        "median_ms": 1e3 * float(np.median(every)),
        "p99_ms": 1e3 * float(np.quantile(every, 0.99)),
        "quartiles_ms": [1e3 * float(q) for q in np.quantile(own, [0.25, 0.75])],
        "runs": len(every),
        "first_ms": 1e3 * about["first_seconds"],
    }
    if (case, "numpy") in times:
        row |= with_interval("ratio", _medians(times[case, "numpy"]) / own)
    floors = np.array([probe.floor_ms(about["gflop"], about["gb"]) for probe in probes])
    if floors.any():
        row |= {"floor_ms": float(np.median(floors))} | with_interval("times_floor", 1e3 * own / floors)
    return row


def _against(own: tuple[str, str], times: Times) -> dict[str, Any]:
    case, name = own
    peers = [peer for other, peer in times if other == case and peer.startswith("torch")]
    if not peers or name in peers:
        return {}
    mine = _medians(times[own])
    return {"against": {peer: with_interval("ratio", _medians(times[case, peer]) / mine) for peer in peers}}


def _medians(rounds: list[list[float]]) -> np.ndarray:
    return np.array([np.median(seconds) for seconds in rounds])


def with_interval(name: str, by_round: np.ndarray) -> dict[str, Any]:
    """The median of what every round gave as `name`, and its 95% interval by bootstrap as `name`_95."""
    drawn = np.random.default_rng(0).choice(by_round, (2000, len(by_round)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return {name: float(np.median(by_round)), f"{name}_95": [float(low), float(high)]}
