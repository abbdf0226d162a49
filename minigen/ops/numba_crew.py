"""Large products shared out by us: threads that each call a BLAS of one thread.

BLAS's own threads wait for one another within a product, and what follows it finds them asleep or, worse,
awake.  Ours take a part each and go on with what follows in their part, which is still in the cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

import numba

_LOCK = threading.Lock()  # the number of BLAS threads belongs to the whole process


def can_share() -> bool:
    """Whether BLAS is one that can be told to use one thread."""
    return bool(_blas())


def share_out(work: Callable[[int], None], n: int) -> None:
    """Do work(0) to work(n - 1), whoever is free the next, on as many threads as Numba has.

    What comes out must not depend on who does what, so that it is the same at every number of threads.
    """
    tasks, hand_over = iter(range(n)), threading.Lock()

    def pull() -> None:
        while True:
            with hand_over:
                task = next(tasks, None)
            if task is None:
                return
            work(task)

    threads = min(n, numba.get_num_threads())
    with _LOCK, _blas_of_one_thread():
        others = [_crew(os.getpid(), threads - 1).submit(pull) for _ in range(threads - 1)]
        try:
            pull()
        finally:
            late = [other for other in others if not other.cancel()]  # who has not even begun is not needed
            for other in late:
                other.result()


@contextmanager
def _blas_of_one_thread() -> Iterator[None]:
    before = [library.get_num_threads() for library in _blas()]
    for library in _blas():
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, threads in zip(_blas(), before):
            library.set_num_threads(threads)


@cache
def _blas() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


@cache
def _crew(process: int, threads: int) -> ThreadPoolExecutor:  # a fork has no threads but its own
    return ThreadPoolExecutor(threads, "minigen")
