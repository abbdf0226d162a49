"""Nothing is ever as large as users x items, and a step allocates what the step before it gave back."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from minigen.application import calibration, studies, weights
from minigen.application.ranking import Application
from minigen.data.interactions import HeldOut, Interactions, Split
from minigen.data.splits import strong_split, weak_split
from minigen.errors import InputError
from minigen.evaluation import evaluate as scoring
from minigen.evaluation.evaluate import evaluate
from minigen.recommender import MultVAE, Popularity, SeedVAE
from minigen.synthetic.users import sample_users

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
    monkeypatch.setattr(scoring, "users_at_a_time", lambda n_items: 100)
    found = []
    assert peak(lambda: found.extend(model.recommend(rows, k=3))) < DENSE / 4
    for got, wanted in zip(found, whole):
        np.testing.assert_array_equal(got, wanted)


FEW = 1000  # users


@pytest.mark.parametrize("repeat", [0.0, 0.3])
def test_neither_does_the_application(repeat, monkeypatch):
    rows = clicks()[:FEW]
    applied = Application(Popularity().fit(rows), repeat=repeat)
    whole = applied.recommend(rows, k=3)
    monkeypatch.setattr(scoring, "users_at_a_time", lambda n_items: 20)
    found = []
    assert peak(lambda: found.extend(applied.recommend(rows, k=3))) < FEW * ITEMS * 4 / 4
    for got, wanted in zip(found, whole):
        np.testing.assert_array_equal(got, wanted)
    rows.data[rows.indptr[-2] :] = 0  # the last one's
    with pytest.raises(InputError, match=f"history {FEW - 1} is empty"):
        applied.recommend(rows, k=3)


def test_the_application_is_measured_without_users_times_items(monkeypatch):
    rows = clicks()[:FEW]
    old = rows - rows.multiply(rows[::-1])  # what is to be found is new
    held, model = HeldOut(rows, rows[::-1], []), Popularity().fit(rows)
    scores = model.score(old)
    p = calibration.new_items(scores, old)

    def measured():
        yield lambda: weights.repeat_trials(model, held, shares=(0.2,))[0].items
        yield lambda: calibration.top_probabilities(p, held.target)
        yield lambda: calibration.choose_temperature(scores, old, held.target, (0.5, 2.0))

    wanted = [figure() for figure in measured()]
    monkeypatch.setattr(scoring, "users_at_a_time", lambda n_items: 20)
    for figure, whole in zip(measured(), wanted):
        np.testing.assert_array_equal(figure(), whole)
        assert peak(figure) < FEW * ITEMS * 4 / 4


def test_a_mean_over_the_posterior_does_not_hold_its_draws(monkeypatch):
    rows = clicks()
    users = 100
    held = HeldOut(rows[:users], rows[users : 2 * users] - rows[users : 2 * users].multiply(rows[:users]), [])
    split = Split("all", rows, [], [str(n) for n in range(ITEMS)], held, held)
    model = MultVAE(**FAST).fit(rows[:users])
    monkeypatch.setattr(scoring, "users_at_a_time", lambda n_items: 20)
    monkeypatch.setattr(studies, "RESAMPLES", 2)
    all_draws = studies.DRAWS * users * ITEMS * 4
    assert peak(lambda: studies.calibrated(model, split)) < 0.75 * all_draws


def test_people_like_one_person_are_not_that_many_rows():
    rows = clicks()
    model = MultVAE(**FAST).fit(rows[:100])
    split = Split("all", rows, [], [str(n) for n in range(ITEMS)], None, HeldOut(rows, rows, []))
    rng = np.random.default_rng(4)
    assert peak(lambda: sample_users(model, split, USERS, rng, history=rows[:1])) < DENSE / 2


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
