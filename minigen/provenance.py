"""Where a figure came from: seed, machine, threads, libraries, command, data, time and memory."""

from __future__ import annotations

import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from minigen import __version__


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
        self._start = time.perf_counter()

    def provenance(self, seed: int | None = None, data_hash: str | None = None) -> dict[str, Any]:
        """The record of one run: `seconds` of wall time since the start, `peak_memory_mb` of the process."""
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
            "blas": sorted(
                {f"{p['internal_api']} {p.get('version')} {p.get('architecture', '')}" for p in pools}
            ),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "minigen": __version__,
        }


def peak_memory_mb() -> float | None:
    """Largest resident size of this process so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


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
