"""The training loop: epochs of shuffled mini-batches, validation, early stopping, checkpoints.

Everything random is drawn from (seed, epoch, step), never from one running generator, and the state is
complete: a run killed at any moment and resumed ends in the same bytes as a run never interrupted.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minigen.backends import NUMPY, Backend
from minigen.errors import InputError
from minigen.optimizers import Optimizer
from minigen.provenance import blas_threads
from minigen.training import checkpoint
from minigen.training.interrupt import DelayedInterrupt
from minigen.training.state import State, read_state
from minigen.typing import Params

__all__ = ["NumericalError", "Plan", "State", "Trainable", "train"]

_ADVICE = (
    "training stopped, the last checkpoint is kept; a smaller learning rate often helps, "
    "and --debug-numerics names the operation that made it"
)


class Trainable(Protocol):
    """A model that the loop can train: its arrays, their optimisers, and one step."""

    params: Params
    optimizers: dict[str, Optimizer]

    def train_step(self, rows: Any, rng: np.random.Generator, step: int) -> dict[str, float]:
        """Learn from one batch and return what to log, "loss" among it."""


@dataclass(frozen=True)
class Plan:
    """How long and how to train.

    `patience` epochs without a better validation score end the run (0: never); `checkpoint_seconds` between
    two checkpoints (0: after every step).
    """

    epochs: int
    batch: int
    seed: int = 0
    patience: int = 0
    checkpoint_seconds: float = 60.0


class NumericalError(InputError):
    """The loss, a gradient or a weight stopped being a number; the last good checkpoint is kept."""


def train(
    model: Trainable,
    data: Any,
    plan: Plan,
    *,
    validate: Callable[[], float] | None = None,
    finish: Callable[[], Params] | None = None,
    run: Path | None = None,
    resume: bool = False,
    until: int | None = None,
    about: dict[str, Any] | None = None,
    report: Callable[[State, dict[str, float]], None] | None = None,
    ops: Backend = NUMPY,
) -> State:
    """Train `model` on the rows of `data`; leaves the best weights on validation in `model.params`.

    `validate` scores the model as it stands, higher is better.  `finish` is called when the best weights are
    in the model, at the end or at a pause: arrays to take the place of theirs; a resumed run goes on without
    these.  `run` is the folder of checkpoints, and
    `about` goes into each (the model's name and settings; a resumed run must have the same).
    `until` pauses the run after so many epochs, with a checkpoint from which it may be resumed.
    `report` is called after every step with what it logged, and after every epoch with the epoch's row.
    `ops` is the backend that holds the arrays of `model.params`.
    Raises InputError for an empty set of rows, a run that exists and is not to be resumed, a resume of
    another run, or a full disk, NumericalError for a loss or gradient that is no number, KeyboardInterrupt
    after Ctrl-C.
    """
    n = data.shape[0]
    if n == 0:
        raise InputError("there is nothing to train on: no rows")
    state = State()
    best: Params = {}
    if run is not None:
        state, best = _begin(model, run, resume, about or {}, ops)
    n_batches, begun = math.ceil(n / plan.batch), state.step
    saved_at, saved_step = time.monotonic(), state.step if state.step else -1

    def save(current: Params) -> None:
        nonlocal saved_at, saved_step
        if run is not None and saved_step != state.step:
            _save(model, current, run, state, best, about or {}, ops)
            saved_at, saved_step = time.monotonic(), state.step

    with DelayedInterrupt() as interrupt:
        while not state.finished and (until is None or state.epoch < until):
            order = np.random.default_rng([plan.seed, 1, state.epoch]).permutation(n)
            while state.position < n_batches:
                rows = order[state.position * plan.batch : (state.position + 1) * plan.batch]
                rng = np.random.default_rng([plan.seed, 2, state.epoch, state.step])
                try:
                    logged = model.train_step(data[rows], rng, state.step)
                except FloatingPointError as error:
                    raise _fault(str(error), state.step + 1, state) from None
                except (KeyError, TypeError, ValueError) as error:
                    if isinstance(error, InputError) or state.step != begun or not begun:
                        raise
                    raise InputError(f"{run} cannot be resumed: {error}") from None
                state.step += 1
                state.position += 1
                _accumulate(state, logged)
                if report:
                    report(state, logged)
                if state.position < n_batches:
                    if interrupt.requested or time.monotonic() - saved_at >= plan.checkpoint_seconds:
                        save(model.params)
                    interrupt.raise_if_requested()
            _end_epoch(model, state, best, plan, n_batches, validate, ops)
            if report:
                report(state, state.history[-1])
            if state.finished or state.epoch == until:
                break
            if interrupt.requested or time.monotonic() - saved_at >= plan.checkpoint_seconds:
                save(model.params)
            interrupt.raise_if_requested()
        current = dict(model.params)  # a paused run goes on from these
        if best:
            model.params.update(ops.put(best))
            best |= finish() if finish else {}
            model.params.update(ops.put(best))
        save(current)  # whole at once: a kill finds a run that is not over, or one that has all
        if not state.finished:
            interrupt.raise_if_requested()
    return state


def _fault(what: str, step: int, state: State) -> NumericalError:
    return NumericalError(f"{what} at step {step} (epoch {state.epoch + 1}): {_ADVICE}")


def _accumulate(state: State, logged: dict[str, float]) -> None:
    for name, value in logged.items():
        if not math.isfinite(value):
            raise _fault(f"{name} became {value}", state.step, state)
        state.sums[name] = state.sums.get(name, 0.0) + value


def _end_epoch(
    model: Trainable,
    state: State,
    best: Params,
    plan: Plan,
    n_batches: int,
    validate: Callable[[], float] | None,
    ops: Backend,
) -> None:
    row = {"epoch": state.epoch + 1, **{name: total / n_batches for name, total in state.sums.items()}}
    if validate:
        score = row["validation"] = validate()
        if state.best_score is None or score > state.best_score:
            state.best_score, state.best_epoch = score, state.epoch + 1
            for name, array in ops.get(model.params).items():
                best[name] = array.copy()
    state.history.append(row)
    state.epoch, state.position, state.sums = state.epoch + 1, 0, {}
    waited = state.epoch - (state.best_epoch or state.epoch)
    state.finished = state.epoch >= plan.epochs or bool(plan.patience and waited >= plan.patience)


def _save(
    model: Trainable,
    current: Params,
    run: Path,
    state: State,
    best: Params,
    about: dict[str, Any],
    ops: Backend,
) -> None:
    """Weights to serve, and beside them, until the run is finished, what a resume needs."""
    params = ops.get(current)
    files = {"weights": best or params}
    if not state.finished:
        files |= {f"optimizer-{name}": o.arrays() for name, o in model.optimizers.items()}
        if best:
            files["current"] = params
    for file, arrays in files.items():  # a loss is that of the weights before its step
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise _fault(f"{file}: {name} became nan or infinite", state.step, state)
    checkpoint.save(run, state.step, files, about | asdict(state) | {"threads": blas_threads()})


def _begin(
    model: Trainable, run: Path, resume: bool, about: dict[str, Any], ops: Backend
) -> tuple[State, Params]:
    """The state to start from: a fresh one, or that of the latest checkpoint of `run`."""
    exists = (run / "LATEST").exists()
    if exists and not resume:
        raise InputError(f"{run} holds a run already: resume it, or choose another folder")
    if not exists:
        return State(), {}
    arrays, saved = checkpoint.load(run)
    checkpoint.want_same(run, saved, about)
    if saved.get("threads") != blas_threads():
        warnings.warn(
            f"{run} ran with {saved.get('threads')} BLAS threads, now with {blas_threads()}: "
            "the weights will be as good, but not the same bytes",
            stacklevel=4,
        )
    try:
        state = read_state(saved)
        current = arrays.get("current", arrays["weights"])
        if {k: a.shape for k, a in current.items()} != {k: a.shape for k, a in model.params.items()}:
            raise KeyError("weights of the model's shapes")
        best = arrays["weights"] if state.best_epoch is not None else {}
        model.params.update(ops.put(current))
        for name, optimizer in model.optimizers.items():
            if not state.finished:
                optimizer.restore(arrays[f"optimizer-{name}"])
    except KeyError as error:
        raise InputError(f"{run} cannot be resumed: its checkpoint lacks {error}") from None
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"{run} cannot be resumed: its checkpoint is damaged: {error}") from None
    checkpoint.tidy(run)
    return state, best
