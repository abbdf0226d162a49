"""Training: the same bytes after a stop as without one, and checkpoints that are whole or absent."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from scipy import sparse

from minigen.data.interactions import HeldOut
from minigen.errors import InputError
from minigen.ladder import load_model
from minigen.recommender import MultVAE, SeedVAE
from minigen.training import checkpoint
from minigen.training.loop import NumericalError, Plan, train

SMALL = {"hidden": 12, "latent": 5, "batch": 16, "epochs": 4, "patience": 0, "anneal_epochs": 2}


def clicks(n_users: int = 50, n_items: int = 30, seed: int = 0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    dense = (rng.random((n_users, n_items)) < 0.2).astype(np.float32)
    dense[np.arange(n_users), rng.integers(0, n_items, n_users)] = 1  # nobody is empty
    return sparse.csr_matrix(dense)


def held_out(n_users: int = 12, seed: int = 1) -> HeldOut:
    rng = np.random.default_rng(seed)
    whole = clicks(n_users, seed=seed + 100).toarray()
    target = whole * (rng.random(whole.shape) < 0.3)
    target[np.arange(n_users), whole.argmax(axis=1)] = 1
    return HeldOut(
        sparse.csr_matrix(np.maximum(whole - target, 0)),
        sparse.csr_matrix(target.astype(np.float32)),
        [f"h{n}" for n in range(n_users)],
    )


class StopError(Exception):
    """Stands for the moment at which a process dies."""


def stop_at(step: int):
    def report(state, logged):
        if "epoch" not in logged and state.step == step:
            raise StopError

    return report


@pytest.mark.parametrize("kind", [MultVAE, SeedVAE])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_resume_after_a_stop_at_any_step_ends_in_the_same_bytes(kind, optimizer, tmp_path):
    settings = SMALL | {"optimizer": optimizer, "momentum": 0.9 if optimizer == "sgd" else 0.0}
    rows, held = clicks(), held_out()
    whole = kind(**settings).fit(rows, held, run=tmp_path / "whole", checkpoint_seconds=1e9)
    last = whole.state.step
    assert last == 4 * 4
    for step in range(1, last + 1):
        run = tmp_path / f"cut-{step}"
        # Checkpoints after every step for half of the stops, after none for the others.
        seconds = 0 if step % 2 else 1e9
        with pytest.raises(StopError):
            kind(**settings).fit(rows, held, run=run, checkpoint_seconds=seconds, report=stop_at(step))
        resumed = kind(**settings).fit(rows, held, run=run, resume=True, checkpoint_seconds=seconds)
        for name, array in whole.params.items():
            np.testing.assert_array_equal(array, resumed.params[name], err_msg=f"{name}, stopped at {step}")
        assert resumed.state == whole.state
        assert (run / f"step-{last}" / "weights.safetensors").read_bytes() == (
            tmp_path / "whole" / f"step-{last}" / "weights.safetensors"
        ).read_bytes()


def test_another_seed_gives_other_weights():
    one, two = (MultVAE(**SMALL, seed=seed).fit(clicks()) for seed in (0, 1))
    assert not np.array_equal(one.params["w_mu"], two.params["w_mu"])


def test_training_keeps_the_weights_of_the_best_epoch():
    scores = iter([0.1, 0.5, 0.3, 0.2])
    seen: list[np.ndarray] = []
    model = MultVAE(**SMALL)
    model.start(clicks())

    def validate() -> float:
        seen.append(model.params["w_out"].copy())
        return next(scores)

    state = train(model, clicks(), Plan(epochs=4, batch=16), validate=validate)
    assert (state.best_epoch, state.best_score) == (2, 0.5)
    np.testing.assert_array_equal(model.params["w_out"], seen[1])
    assert not np.array_equal(seen[1], seen[3])


def test_patience_ends_the_run_early():
    model = MultVAE(**SMALL)
    model.start(clicks())
    scores = iter([0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    state = train(model, clicks(), Plan(epochs=6, batch=16, patience=2), validate=lambda: next(scores))
    assert state.epoch == 3
    assert state.finished


def test_ctrl_c_finishes_the_step_writes_a_checkpoint_and_can_be_resumed(tmp_path):
    rows = clicks()
    whole = MultVAE(**SMALL).fit(rows)

    def press(state, logged):
        if "epoch" not in logged and state.step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        MultVAE(**SMALL).fit(rows, run=tmp_path / "run", checkpoint_seconds=1e9, report=press)
    _, state = checkpoint.load(tmp_path / "run")
    assert state["step"] == 6
    resumed = MultVAE(**SMALL).fit(rows, run=tmp_path / "run", resume=True)
    for name, array in whole.params.items():
        np.testing.assert_array_equal(array, resumed.params[name])


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_last_checkpoint(tmp_path):
    model = MultVAE(**SMALL)

    def spoil(state, logged):
        if state.step == 5:
            model.params["w_mu"][0, 0] = np.nan

    # Seen by the gradients of the next step, or before that by a checkpoint of the step itself.
    for seconds, message in (
        (1e9, "the gradient of w_out became nan or infinite at step 6"),  # asked in the order of backward
        (0, "weights: w_mu became nan or infinite at step 5"),
    ):
        model.start(clicks())
        plan = Plan(epochs=4, batch=16, checkpoint_seconds=seconds)
        with pytest.raises(NumericalError, match=f"{message}.* smaller learning rate"):
            train(model, clicks(), plan, run=tmp_path / f"run-{seconds}", report=spoil)
    arrays, state = checkpoint.load(tmp_path / "run-0")
    assert state["step"] == 4
    assert all(np.isfinite(array).all() for array in arrays["weights"].values())


def test_resume_refuses_another_run(tmp_path):
    MultVAE(**SMALL).fit(clicks(), run=tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already"):
        MultVAE(**SMALL).fit(clicks(), run=tmp_path / "run")
    with pytest.raises(InputError, match="another settings"):
        MultVAE(**SMALL | {"hidden": 13}).fit(clicks(), run=tmp_path / "run", resume=True)
    with pytest.raises(InputError, match="another model"):
        SeedVAE(**SMALL).fit(clicks(), run=tmp_path / "run", resume=True)
    for other in (clicks(n_items=31), clicks(seed=5)):
        with pytest.raises(InputError, match="another data_hash"):
            MultVAE(**SMALL).fit(other, run=tmp_path / "run", resume=True)


def test_resume_with_another_number_of_threads_warns(tmp_path):
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2, user_api="blas"), pytest.raises(StopError):
        MultVAE(**SMALL).fit(clicks(), run=tmp_path, checkpoint_seconds=0, report=stop_at(5))
    with threadpool_limits(1, user_api="blas"), pytest.warns(UserWarning, match="2 BLAS threads, now with 1"):
        MultVAE(**SMALL).fit(clicks(), run=tmp_path, resume=True)


def test_a_failed_write_leaves_the_last_checkpoint_and_nothing_half_written(tmp_path, monkeypatch):
    run, arrays = tmp_path / "run", {"weights": {"w": np.arange(3.0)}}
    checkpoint.save(run, 1, arrays, {"model": "x"})

    def full(arrays, file):
        Path(file).touch()
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(InputError, match="No space left on device") as error:
        checkpoint.save(run, 2, arrays, {"model": "x"})
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    assert sorted(p.name for p in run.iterdir()) == ["LATEST", "step-1"]
    loaded, state = checkpoint.load(run)
    assert state["step"] == 1
    np.testing.assert_array_equal(loaded["weights"]["w"], np.arange(3.0))


def test_saving_the_same_step_again_never_takes_the_named_one_away(tmp_path):
    for value in (1.0, 2.0, 3.0):
        checkpoint.save(tmp_path, 7, {"weights": {"w": np.array([value])}}, {})
        assert checkpoint.load(tmp_path)[0]["weights"]["w"] == value
        assert len(list(tmp_path.glob("step-*"))) == 1


def _truncate(folder: Path) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-5])


def _foreign_state(folder: Path) -> None:
    (folder / "state.json").write_text('{"some": "json"}')


def _say(file: Path, **said: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | said))


def _missing_array(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    arrays = load_file(folder / "weights.safetensors")
    arrays.pop("w_mu")
    save_file(arrays, folder / "weights.safetensors")


def _huge_header(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes((10**12).to_bytes(8, "little") + b"{}")


def _deep_json(folder: Path) -> None:
    (folder / "state.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _foreign_state,
        _missing_array,
        _huge_header,
        _deep_json,
        lambda f: (f / "weights.safetensors").unlink(),
        lambda f: (f / "state.json").write_bytes(b"\xff\xfe\x00"),
        lambda f: (f.parent / "LATEST").write_text("../elsewhere"),
        lambda f: (f.parent / "LATEST").unlink(),
        lambda f: _say(f / "state.json", version=99),
        lambda f: _say(f / "state.json", settings={"hidden": "x"}),
    ],
)
def test_a_damaged_or_foreign_checkpoint_is_one_clear_line(damage, tmp_path):
    MultVAE(**SMALL | {"epochs": 1}).fit(clicks()).save(tmp_path / "run")
    damage(checkpoint.latest_folder(tmp_path / "run"))
    with pytest.raises(InputError) as error:
        load_model(tmp_path / "run")
    assert "\n" not in str(error.value)


def test_no_rows_is_refused():
    with pytest.raises(InputError, match="nothing to train on"):
        MultVAE(**SMALL).fit(sparse.csr_matrix((5, 30), dtype=np.float32))
