"""BLAS and Numba take turns on the same cores: neither may hold them while the other works.

OpenBLAS threads spin for a while after a product, in wait of the next one, and Numba's threads queue behind
them: a pass of 2 ms then takes 12.  The variable below lets them sleep after 2**4 cycles.
"""

from __future__ import annotations

import ctypes
import os
import warnings
from typing import Any

_VARIABLE = "OPENBLAS_THREAD_TIMEOUT"
_CYCLES = "4"  # as a power of 2; the smallest that OpenBLAS takes
_SPIN = "GOMP_SPINCOUNT"  # of Numba's own threads, where GNU OpenMP runs them
_TURNS = "10000"  # a tenth of a millisecond; without it they hold the cores for some milliseconds


def settle() -> None:
    """Let idle BLAS threads sleep, and give Numba as many threads as BLAS has, or NUMBA_NUM_THREADS.

    A timeout that the user chose stays.  Numba holds its number by thread: one that did not come here has
    all cores, or as many as it gives to `numba.set_num_threads`.  Warns where BLAS cannot be told any more.
    """
    import numba
    from threadpoolctl import threadpool_info

    chosen = _VARIABLE in os.environ
    os.environ.setdefault(_VARIABLE, _CYCLES)  # for a BLAS that is not loaded yet
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(_SPIN, _TURNS)  # read with the first parallel kernel
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    asleep = [_sleeps(pool, chosen) for pool in pools]
    if not all(asleep):
        warnings.warn(
            f"set {_VARIABLE}={_CYCLES} before Python starts: NumPy's BLAS threads now hold up Numba's",
            stacklevel=4,
        )
    if "NUMBA_NUM_THREADS" not in os.environ and pools:
        wanted = max(pool["num_threads"] for pool in pools)
        numba.set_num_threads(min(wanted, numba.get_num_threads()))


def _sleeps(pool: dict[str, Any], chosen: bool) -> bool:
    """Whether the idle threads of a BLAS sleep; those of OpenBLAS are made to, if it has a way."""
    if pool["internal_api"] != "openblas" or pool["num_threads"] == 1:
        return True
    library = ctypes.CDLL(pool["filepath"])
    try:
        if not library.openblas_thread_timeout():
            library.openblas_read_env()
            library.blas_thread_shutdown_()  # they start anew with the next product
        return library.openblas_thread_timeout() > 0
    except AttributeError:  # a build that hides these: it read the variable as it was loaded
        return chosen
