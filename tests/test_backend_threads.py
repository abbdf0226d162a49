"""BLAS and Numba share the cores: whose threads sleep, and what is said where they cannot be told to."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from minigen import backends
from minigen.backends import threads


def run_python(code: str, **environment: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS", "NUMBA_NUM"))} | environment
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


LOADED = """
import ctypes, threadpoolctl
pools = [p for p in threadpoolctl.threadpool_info() if p["internal_api"] == "openblas"]
libraries = [ctypes.CDLL(p["filepath"]) for p in pools]
hidden = any(not hasattr(library, "openblas_thread_timeout") for library in libraries)
timeouts = "hidden" if hidden else [library.openblas_thread_timeout() for library in libraries]
print(timeouts or "other", numba.get_num_threads())
"""


@pytest.mark.parametrize("first", ["import numpy; numpy.ones((9, 9)) @ numpy.ones((9, 9))", "import minigen"])
def test_blas_threads_sleep_whoever_was_first(first):
    code = f"{first}\nimport numba; from minigen import backends; backends.load('numba'){LOADED}"
    said = run_python(code, OPENBLAS_NUM_THREADS="2")
    if "other" in said:
        pytest.skip("NumPy is not built with OpenBLAS here")
    if "hidden" in said:  # such a build can only be told before it is loaded
        assert "UserWarning: set OPENBLAS_THREAD_TIMEOUT=4 before Python starts" in said
        assert "UserWarning" not in run_python(code, OPENBLAS_NUM_THREADS="2", OPENBLAS_THREAD_TIMEOUT="4")
    else:
        assert said.split("]")[0] == "[4"


def test_threads_of_the_user_stay():
    code = f"import numba; from minigen import backends; backends.load('numba'){LOADED}"
    said = run_python(code, OPENBLAS_THREAD_TIMEOUT="20", NUMBA_NUM_THREADS="1")
    assert said.split() in (["[20]", "1"], ["other", "1"], ["hidden", "1"])
    assert run_python(code, OPENBLAS_NUM_THREADS="1").split()[-1] == "1"


def test_a_blas_that_cannot_be_told_is_one_line(monkeypatch):
    backends.load("numba")  # whose own libraries are there before

    class Closed:
        pass

    monkeypatch.setattr(threads.ctypes, "CDLL", lambda path: Closed())
    pool = {"user_api": "blas", "internal_api": "openblas", "num_threads": 2, "filepath": "libopenblas.so"}
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [pool])
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    with pytest.warns(UserWarning, match="^set OPENBLAS_THREAD_TIMEOUT=4 before Python starts"):
        threads.settle()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        threads.settle()  # by now the variable is there, as for whoever did as told
        monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT")
        pool["num_threads"] = 1  # nobody spins
        threads.settle()
