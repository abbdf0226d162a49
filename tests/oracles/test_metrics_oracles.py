"""Our metrics against ranx, pytrec_eval and ir_measures on random lists, short and padded ones among them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from minigen.evaluation.metrics import PER_USER, find_hits

N, M, LENGTH = 40, 60, 30
KS = (1, 5, 10, 30)
RANX = {
    "recall": "recall",
    "precision": "precision",
    "ndcg": "ndcg",
    "mrr": "mrr",
    "map": "map",
    "hit": "hit_rate",
}
TREC = {"recall": "recall", "precision": "P", "ndcg": "ndcg_cut", "map": "map_cut", "hit": "success"}
IR = {"recall": "R", "precision": "P", "ndcg": "nDCG", "mrr": "RR", "map": "AP", "hit": "Success"}


RUN_RANX = """
import json, sys
import ranx
qrels, run, names = json.load(sys.stdin)
found = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), names, return_mean=False)
print(json.dumps({name: values.tolist() for name, values in found.items()}))
"""


def oracle(name: str):
    """Import a library that may be absent, or old enough to warn while it loads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, csr_matrix]:
    """Lists of 1 to LENGTH items, padded with -1, and 1 to M targets."""
    rng = np.random.default_rng(0)
    ranked = np.full((N, LENGTH), -1)
    target = np.zeros((N, M))
    for u in range(N):
        n = LENGTH if u % 2 else rng.integers(1, LENGTH)
        ranked[u, :n] = rng.permutation(M)[:n]
        target[u, rng.permutation(M)[: rng.integers(1, 4) if u % 3 else rng.integers(1, M)]] = 1
    return ranked, csr_matrix(target)


def ours(case, name: str, k: int) -> np.ndarray:
    hits, n_target = find_hits(*case)
    return PER_USER[name](hits[:, :k], n_target)


def as_qrels(case) -> dict[str, dict[str, int]]:
    return {f"u{u:03}": {f"i{i}": 1 for i in row.indices} for u, row in enumerate(case[1])}


def as_run(case) -> dict[str, dict[str, float]]:
    """Scores fall with the rank, so that no two are equal."""
    return {
        f"u{u:03}": {f"i{i}": 1.0 - r / LENGTH for r, i in enumerate(row) if i >= 0}
        for u, row in enumerate(case[0])
    }


def test_ranx(case) -> None:
    if not find_spec("ranx"):
        pytest.skip("ranx is not installed")
    names = {(name, k): f"{theirs}@{k}" for name, theirs in RANX.items() for k in KS}
    # On its own without its compiler: that would take minutes, and must not be off for other tests.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN_RANX],
        input=json.dumps([as_qrels(case), as_run(case), list(names.values())]),
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for (name, k), theirs in names.items():
        np.testing.assert_allclose(ours(case, name, k), found[theirs], rtol=0, atol=1e-6, err_msg=theirs)


def test_pytrec_eval(case) -> None:
    pytrec_eval = oracle("pytrec_eval")
    asked = {f"{theirs}.{','.join(map(str, KS))}" for theirs in TREC.values()}
    found = pytrec_eval.RelevanceEvaluator(as_qrels(case), asked).evaluate(as_run(case))
    for name, theirs in TREC.items():
        for k in KS:
            values = [found[user][f"{theirs}_{k}"] for user in sorted(found)]
            np.testing.assert_allclose(ours(case, name, k), values, rtol=0, atol=1e-6, err_msg=theirs)


def test_ir_measures(case) -> None:
    ir_measures = oracle("ir_measures")
    for name, theirs in IR.items():
        for k in KS:
            measure = getattr(ir_measures, theirs) @ k
            found = {
                m.query_id: m.value for m in ir_measures.iter_calc([measure], as_qrels(case), as_run(case))
            }
            values = [found[user] for user in sorted(found)]
            np.testing.assert_allclose(ours(case, name, k), values, rtol=0, atol=1e-6, err_msg=str(measure))
