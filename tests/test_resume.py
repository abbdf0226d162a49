"""A checkpoint that somebody has written to is refused by name; a fault of a model stays what it is."""

from __future__ import annotations

import json

import pytest
from test_training import SMALL, StopError, clicks, stop_at

from minigen.errors import InputError
from minigen.recommender import MultVAE
from minigen.training import checkpoint
from minigen.training.loop import Plan, train

COUNTS = "want whole numbers for step, epoch, position and best_epoch"
NUMBERS = "want finite numbers in history, sums and best_score"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    run = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(StopError):
        MultVAE(**SMALL).fit(clicks(), run=run, checkpoint_seconds=0, report=stop_at(6))
    return run


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"history": {"loss": 1.0}}, "want a table of numbers an epoch in history, and one in sums"),
        ({"history": [1.0]}, "want a table of numbers an epoch in history, and one in sums"),
        ({"sums": [1.0]}, "want a table of numbers an epoch in history, and one in sums"),
        ({"position": -1}, COUNTS),
        ({"epoch": 1.0}, COUNTS),
        ({"step": True}, COUNTS),
        ({"best_epoch": "1"}, COUNTS),
        ({"finished": 1}, COUNTS),
        ({"best_score": "0.5"}, NUMBERS),
        ({"best_score": float("nan")}, NUMBERS),
        ({"history": [{"loss": float("inf")}]}, NUMBERS),
        ({"sums": {"loss": None}}, NUMBERS),
    ],
)
def test_a_state_that_is_none_is_told_in_one_line(stopped, written, told):
    file = checkpoint.latest_folder(stopped) / "state.json"
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | written))
    try:
        with pytest.raises(InputError, match=f"cannot be resumed: its checkpoint is damaged: {told}"):
            MultVAE(**SMALL).fit(clicks(), run=stopped, resume=True)
    finally:
        file.write_text(before)


class Faulty(MultVAE):
    """A model that fails in one of its steps."""

    at = 0

    def train_step(self, batch, rng, step):
        if step == self.at:
            raise ValueError("shapes differ")
        return super().train_step(batch, rng, step)


@pytest.mark.parametrize("at", [0, 3])
def test_a_fault_of_a_model_is_not_blamed_on_a_run(at):
    model = Faulty(**SMALL)
    model.at = at
    model.start(clicks())
    with pytest.raises(ValueError, match=r"^shapes differ$") as error:
        train(model, clicks(), Plan(epochs=2, batch=16))
    assert not isinstance(error.value, InputError)


@pytest.mark.parametrize(("at", "kind"), [(5, InputError), (6, ValueError)])
def test_a_first_step_that_fails_after_a_stop_is_the_checkpoints(stopped, tmp_path, at, kind):
    arrays, state = checkpoint.load(stopped)
    assert state["step"] == 5
    checkpoint.save(tmp_path, 5, arrays, state)
    model = Faulty(**SMALL)
    model.at = at
    with pytest.raises(kind, match="shapes differ") as error:
        model.fit(clicks(), run=tmp_path, resume=True, checkpoint_seconds=1e9)
    assert ("cannot be resumed" in str(error.value)) is (kind is InputError)
    assert checkpoint.load(tmp_path)[1]["step"] == 5  # it can be tried again
