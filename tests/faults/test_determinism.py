"""The same seed, backend and threads give the same bytes; another backend or thread count the same losses."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

# Float32 sums in another order: what 100 steps of Adam make of it, relative to the loss of that step.
TOLERANCE = 1e-6
# 500 rows of 2,400 items: above the size from which twins and BLAS share a step among threads.
TRAIN = """
import hashlib, json, os
import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits
from minigen.recommender import MultVAE

rows = sparse.random(1000, 2400, 0.02, format="csr", dtype=np.float32, random_state=0)
rows.data[:] = 1
found = {}
for backend in ("numpy", "numba"):
    for threads in (1, 2):
        losses = []
        if backend == "numba":
            import numba
            numba.set_num_threads(threads)
        report = lambda state, logged: losses.append(logged["loss"]) if "epoch" not in logged else None
        with threadpool_limits(threads, user_api="blas"):
            model = MultVAE(hidden=32, latent=8, batch=500, epochs=50, patience=0, seed=3, backend=backend)
            model.fit(rows, report=report)
        digest = hashlib.sha256()
        for name in sorted(model.params):
            digest.update(np.ascontiguousarray(model.params[name]).tobytes())
        found[f"{backend}-{threads}"] = {"bytes": digest.hexdigest(), "losses": losses}
print(json.dumps(found))
"""


def trained() -> dict[str, dict]:
    # The number of threads is the machine's, not the test suite's; two at the least.
    quiet = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAIN],
        capture_output=True,
        text=True,
        check=False,
        env=quiet | {"NUMBA_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_same_seed_same_bytes_in_two_processes_and_the_same_losses_everywhere() -> None:
    one, two = trained(), trained()
    assert {name: run["bytes"] for name, run in one.items()} == {n: run["bytes"] for n, run in two.items()}
    losses = {name: np.array(run["losses"]) for name, run in one.items()}
    assert all(len(each) == 100 for each in losses.values())
    apart = {n: float(np.max(np.abs(each / losses["numpy-1"] - 1))) for n, each in losses.items()}
    print(apart)
    assert max(apart.values()) <= TOLERANCE, apart
