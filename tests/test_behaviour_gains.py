"""What was touched before, lifted by a gain for each behaviour: the most likely one for what came next."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp
from test_behaviours import ITEMS, SMALL, actions
from test_ladder_linear import TINY
from test_training import StopError, clicks, held_out
from test_tuning import tick

from minigen.application.uncertainty import sample_scores
from minigen.cli import work
from minigen.data.behaviour_split import behaviour_split
from minigen.data.interactions import HeldOut
from minigen.data.simulate import simulate
from minigen.evaluation.evaluate import evaluate
from minigen.ladder import BehaviourVAE, LinearVAE, load_model
from minigen.ladder.blocks import best_gains, lift
from minigen.training import checkpoint
from minigen.tuning.contest import Contest, Entrant


def test_gains_are_the_most_likely_ones(rng):
    """Against a minimiser that knows nothing of the derivatives, over dense arrays."""
    n, k, m = 9, 2, 11
    scores = rng.standard_normal((n, m))
    dense = (rng.random((n, k + 1, m)) < 0.3).astype(float)
    target = np.zeros_like(dense)
    target[:, k] = (rng.random((n, m)) < 0.3) & (dense[:, k] == 0)
    histories, wanted = (sparse.csr_matrix(x.reshape(n, -1)) for x in (dense, target))

    def cost(gains):
        logits = scores + np.einsum("b,ubi->ui", gains, dense[:, :k])
        logits = np.where(dense[:, k] > 0, -np.inf, logits)
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        return -(target[:, k] * np.where(target[:, k] > 0, log_p, 0)).sum() + 5e-4 * gains @ gains

    halves = [(scores[part], histories[part], wanted[part]) for part in (slice(0, 4), slice(4, n))]
    found = best_gains(halves, k)
    assert found == pytest.approx(minimize(cost, np.zeros(k), method="Nelder-Mead", tol=1e-12).x, abs=1e-5)
    lifted = scores.copy()
    lift(lifted, histories, found)
    assert lifted == pytest.approx(scores + np.einsum("b,ubi->ui", found, dense[:, :k]))


def viewers() -> tuple[sparse.csr_matrix, HeldOut]:
    """Rows to train on, and people who go on to buy some of what they have viewed."""
    rows = actions(200, seed=5)
    shown = rows.toarray().reshape(200, 3, ITEMS)
    bought, shown[:, 2] = shown[:, 2].copy(), 0  # all that is bought has been viewed
    target = np.zeros_like(shown)
    target[:, 2] = bought
    parts = (sparse.csr_matrix(x.reshape(200, -1)) for x in (shown, target))
    return rows, HeldOut(*parts, [str(n) for n in range(200)])


def test_what_people_take_next_of_what_they_have_viewed_sets_the_gain(tmp_path):
    rows, held = viewers()
    model = BehaviourVAE(**SMALL).fit(rows, held, run=tmp_path / "run")
    assert model.params["gain"].min() > 1
    again = load_model(tmp_path / "run")
    np.testing.assert_array_equal(again.params["gain"], model.params["gain"])
    viewed = np.zeros((1, 24), np.float32)
    viewed[0, [0, 2]] = 1
    items, _ = model.recommend(sparse.csr_matrix(viewed), k=2)
    assert set(items[0]) == {16, 18}
    assert BehaviourVAE(**SMALL).fit(rows).params["gain"].tolist() == [0, 0]


def test_a_drawn_code_stands_beside_the_same_history():
    model = BehaviourVAE(**SMALL | {"epochs": 1}).fit(actions())
    rows = actions(5, seed=3)
    plain = sample_scores(model, rows, np.random.default_rng(0))
    model.params["gain"] = np.array([30, 0], np.float32)
    lifted = sample_scores(model, rows, np.random.default_rng(0))
    np.testing.assert_allclose(
        lifted[:, 16:] - plain[:, 16:], 30 * rows.toarray()[:, :ITEMS], rtol=0, atol=1e-4
    )


def weights_in(run) -> bytes:
    return (checkpoint.latest_folder(run) / "weights.safetensors").read_bytes()


KINDS = pytest.mark.parametrize(
    ("kind", "settings", "data"),
    [
        (BehaviourVAE, SMALL, viewers),
        (LinearVAE, TINY | {"joint": False, "gain": 0.1}, lambda: (clicks(), held_out())),
    ],
    ids=["behaviour-vae", "linear-vae"],
)


@KINDS
@pytest.mark.parametrize("written", [False, True])
def test_a_kill_beside_the_choice_of_gains_changes_nothing(
    kind, settings, data, written, tmp_path, monkeypatch
):
    rows, held = data()
    whole = kind(**settings).fit(rows, held, run=tmp_path / "whole")
    given = kind(**settings | {"epochs": 1}).fit(rows).params["gain"]
    assert (whole.params["gain"] != given).all()
    run, save = tmp_path / "cut", checkpoint.save

    def stop(*args):
        raise StopError

    def save_and_stop(run, step, arrays, state):
        save(run, step, arrays, state)
        if state["finished"]:
            raise StopError

    if written:
        monkeypatch.setattr(checkpoint, "save", save_and_stop)
    else:
        monkeypatch.setattr(kind, "_finish", stop)
    with pytest.raises(StopError):
        kind(**settings).fit(rows, held, run=run, checkpoint_seconds=0)
    monkeypatch.undo()
    assert checkpoint.load(run)[1]["finished"] is written
    assert not written or weights_in(run) == weights_in(tmp_path / "whole")
    resumed = kind(**settings).fit(rows, held, run=run, resume=True)
    assert resumed.state == whole.state
    assert weights_in(run) == weights_in(tmp_path / "whole")


@KINDS
def test_a_paused_model_is_served_with_gains_and_goes_on_without(kind, settings, data, tmp_path):
    (rows, held), run = data(), tmp_path / "cut"
    whole = kind(**settings).fit(rows, held, run=tmp_path / "whole")
    short = kind(**settings | {"epochs": 2}).fit(rows, held)
    cut = kind(**settings).fit(rows, held, run=run, until=2)
    again = kind(**settings).fit(rows, held, run=run, until=2, resume=True)
    for model in (cut, load_model(run), again):
        assert all(array.tobytes() == model.params[name].tobytes() for name, array in short.params.items())
    assert kind(**settings).fit(rows, held, run=run, resume=True).state == whole.state
    assert weights_in(run) == weights_in(tmp_path / "whole")


@pytest.mark.parametrize("seconds", [1e-3, 60.0])
def test_a_contest_goes_by_models_as_they_are_served(seconds, tmp_path, monkeypatch):
    tick(monkeypatch)
    rows, held = viewers()
    given = {BehaviourVAE: Entrant(SMALL, rows, held)}
    one = Contest(given, "ndcg@8", tmp_path, 0, lambda what, until: nullcontext())
    ((kind, outcome),) = one.outcomes(seconds)
    assert outcome.cut == (1 if seconds < 1 else 0)
    model = one.fitted(kind, outcome)
    assert model.params["gain"].min() > 1
    *_, score = outcome.trials[outcome.best]["scores"].values()
    assert score == evaluate(model, held, ("ndcg@8",)).mean("ndcg@8")


def test_gains_that_validation_chose_survive_a_refit(tmp_path):
    events, _ = simulate(200, 30, seed=2, views_per_user=12)
    split = behaviour_split(events, "purchase", "weak")
    settings = SMALL | {"behaviours": ",".join(split.behaviours)}
    model, data = work.fit(BehaviourVAE, settings, split, tmp_path / "run", refit=True)
    choice = load_model(tmp_path / "run" / "choice")
    assert data.validation is None
    assert choice.params["gain"].all()
    np.testing.assert_array_equal(model.params["gain"], choice.params["gain"])
    np.testing.assert_array_equal(load_model(tmp_path / "run").params["gain"], choice.params["gain"])
    assert (choice.settings["gains"], model.settings["gains"].count(",")) == ("", 1)


def test_gains_that_are_given_are_not_learnt():
    rows, held = viewers()
    model = BehaviourVAE(**SMALL, gains="0.5,2").fit(rows, held)
    assert model.params["gain"].tolist() == [0.5, 2]
    assert model.chosen == {"epochs": model.state.best_epoch, "gains": "0.5,2.0"}
    fresh = BehaviourVAE(**SMALL, fresh=True).fit(rows, held)
    assert set(fresh.chosen) == {"epochs"}
