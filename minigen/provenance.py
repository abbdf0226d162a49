"""Where a figure came from: seed, machine, threads, libraries, command, data, time and memory; its file."""

from __future__ import annotations

import json
import math
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigen import __version__
from minigen.errors import InputError
from minigen.files import read_json, want_place, write_text


def blas_pools() -> list[dict[str, Any]]:
    """The BLAS libraries in this process, as threadpoolctl tells of them."""
    from threadpoolctl import threadpool_info

    return [pool for pool in threadpool_info() if pool.get("user_api") == "blas"]


def blas_threads() -> int | None:
    """Threads that a matrix product may use; None where no BLAS says."""
    return max((pool["num_threads"] for pool in blas_pools()), default=None)


class Clock:
    """Started with the work, asked at its end."""

    def __init__(self) -> None:
        self._load = load_average()
        self._start = time.perf_counter()

    def provenance(self, seed: int | None = None, data_hash: str | None = None) -> dict[str, Any]:
        """The record of one run: `seconds` of wall time since the start, `peak_memory_mb` of the process.

        `load_average` is that of the minute before the start: who else wanted the cores.
        """
        import numpy as np
        import scipy

        pools = blas_pools()
        return {
            "seed": seed,
            "command": " ".join(["minigen", *map(shlex.quote, sys.argv[1:])]),
            "data_hash": data_hash,
            "seconds": round(time.perf_counter() - self._start, 2),
            "peak_memory_mb": peak_memory_mb(),
            "machine": f"{_processor()}, {cores()} cores, {platform.system()} {platform.machine()}",
            "threads": blas_threads(),
            "scheduling": scheduling(),
            "load_average": self._load,
            "blas": sorted(
                {f"{p['internal_api']} {p.get('version')} {p.get('architecture', '')}" for p in pools}
            ),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "minigen": __version__,
        }


def write_json(
    path: Path,
    command: str,
    settings: Mapping[str, Any],
    rows: list[dict[str, Any]],
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write what a command found in the form of every result file, whole or not at all.

    A figure that is nan or infinite is null there: JSON has no such number.
    Raises InputError where the file cannot be written, or `want_results` says so.
    """
    want_results(path)
    document = {"command": command, "version": __version__, "settings": dict(settings), "rows": rows}
    if provenance:
        document["provenance"] = dict(provenance)
    text = json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def want_results(path: Path) -> None:
    """Raise InputError where `path` holds what `write_json` must not replace: all but figures of minigen."""
    want_place(path)
    if not path.exists() or not path.stat().st_size:
        return
    try:
        document = read_json(path)
    except InputError:
        document = None
    if not (isinstance(document, dict) and {"command", "rows"} <= document.keys()):
        raise InputError(f"cannot write {path}: it holds something else than figures of minigen")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def peak_memory_mb() -> float | None:
    """Largest resident size of this process so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def scheduling() -> str | None:
    """The class and priority in which the system runs this process; None where it does not say."""
    import os

    if not hasattr(os, "sched_getscheduler"):
        return None
    names = ("SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_RR", "SCHED_FIFO")
    known = {getattr(os, name): name for name in names if hasattr(os, name)}
    number = os.sched_getscheduler(0)
    return f"{known.get(number, number)} {os.sched_getparam(0).sched_priority}, nice {os.nice(0)}"


def load_average() -> float | None:
    """Processes that wanted a core in the last minute, on average; None where the system does not say."""
    import os

    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def cores() -> int:
    """The cores that this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
