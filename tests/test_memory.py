"""Nothing is ever as large as users x items, and a step allocates what the step before it gave back."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from minigen.data.interactions import HeldOut, Interactions
from minigen.data.splits import strong_split, weak_split
from minigen.evaluation.evaluate import evaluate
from minigen.recommender import MultVAE, Popularity, SeedVAE, base

USERS, ITEMS, CLICKS = 6000, 2000, 8
DENSE = USERS * ITEMS * 4  # bytes of the float32 array that must not exist


def clicks() -> sparse.csr_matrix:
    rng = np.random.default_rng(0)
    columns = np.sort(np.concatenate([rng.choice(ITEMS, CLICKS, replace=False) for _ in range(USERS)]))
    columns = columns.reshape(CLICKS, USERS).T.reshape(-1)  # the rows stay free of repeats
    indptr = CLICKS * np.arange(USERS + 1)
    matrix = sparse.csr_matrix((np.ones(USERS * CLICKS, np.float32), columns, indptr), shape=(USERS, ITEMS))
    matrix.sum_duplicates()
    return matrix


def peak(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


FAST = {"hidden": 8, "latent": 4, "batch": 100, "epochs": 1}


@pytest.mark.parametrize("kind", [MultVAE, SeedVAE])
def test_training_never_holds_users_times_items(kind):
    rows = clicks()
    assert peak(lambda: kind(**FAST).fit(rows)) < DENSE / 4


def test_evaluation_and_splits_never_hold_users_times_items():
    rows = clicks()
    held = HeldOut(rows, rows, [str(n) for n in range(USERS)])
    model = Popularity().fit(rows)
    assert peak(lambda: evaluate(model, held, ("ndcg@20",), batch=100)) < DENSE / 4
    whole = Interactions(rows, [f"u{n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)])
    assert peak(lambda: strong_split(whole, 500, 500, seed=0).hash) < DENSE / 4
    assert peak(lambda: weak_split(whole, seed=0).hash) < DENSE / 4


def test_recommending_to_everybody_never_holds_users_times_items(monkeypatch):
    rows = clicks()
    model = Popularity().fit(rows)
    whole = model.recommend(rows, k=3)
    monkeypatch.setattr(base, "users_at_a_time", lambda n_items: 100)
    found = []
    assert peak(lambda: found.extend(model.recommend(rows, k=3))) < DENSE / 4
    for got, wanted in zip(found, whole):
        np.testing.assert_array_equal(got, wanted)


def test_a_sampled_step_never_holds_batch_times_items():
    items, batch, latent = 400_000, 100, 2
    rng = np.random.default_rng(0)
    columns = np.sort(rng.integers(0, items, (batch, CLICKS)), axis=1).ravel()
    rows = sparse.csr_matrix((np.ones(columns.size, np.float32), columns, CLICKS * np.arange(batch + 1)))
    rows.resize(batch, items)
    rows.sum_duplicates()
    model = MultVAE(hidden=0, latent=latent, batch=batch, negatives=500)
    model.start(rows)
    weights = sum(w.nbytes for w in model.params.values())

    def steps():
        for step in range(3):
            model.train_step(rows, rng, step)

    # Both moments, one layer's other order, and how far each row of the four arrays has come.
    assert peak(steps) < 3 * weights < batch * items * 4 / 4


def test_memory_is_flat_from_step_to_step():
    rows, sizes = clicks(), []
    model = MultVAE(**FAST | {"epochs": 3})

    def report(state, logged):
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        model.fit(rows, report=report)
    finally:
        tracemalloc.stop()
    # The smallest array of a batch, (B,) of float32, takes 400 bytes: a step that kept one would be seen.
    assert (sizes[-1] - sizes[20]) / (len(sizes) - 21) < 4 * FAST["batch"]
