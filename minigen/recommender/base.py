"""What every recommender can do: fit, score, recommend, save, load."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import csr_matrix

from minigen import backends
from minigen.errors import InputError
from minigen.evaluation.evaluate import by_parts
from minigen.ops.sparse import canonical
from minigen.training import checkpoint
from minigen.typing import Array, Params

LARGEST = 1e15  # of a weight that is served: a product of larger ones leaves the range of float32


def want_arrays(arrays: Params, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ValueError unless the arrays have these names and shapes."""
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise ValueError("the arrays have other names or shapes than its settings ask for")


class Recommender(ABC):
    """A model that scores every item for a history; histories are CSR rows, scores NumPy rows.

    A subclass names itself, takes its settings as keyword arguments, and keeps what it learnt in `params`.
    """

    id: ClassVar[str]
    family: ClassVar[str]  # "baseline" or "generative"
    search: ClassVar[dict[str, tuple[Any, ...]]] = {}  # values worth trying, by setting

    params: Params  # arrays of the backend `ops`
    ops: backends.Backend = backends.NUMPY

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, as a record can hold them."""
        return {name: getattr(self, name) for name in list(inspect.signature(type(self)).parameters)}

    @property
    @abstractmethod
    def n_items(self) -> int:
        """The number of items M the model was fitted on; 0 before fit."""

    @abstractmethod
    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Learn from the rows of `train` (U, M)."""

    @abstractmethod
    def score(self, histories: csr_matrix) -> Array:
        """A score (B, M) for every item; higher is better, only the order within a row has a meaning."""

    @abstractmethod
    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d <scores, d_scores> / d x at the clicks of each history: CSR of the histories' pattern."""

    def recommend(
        self, histories: csr_matrix, k: int = 10, exclude_seen: bool = True
    ) -> tuple[np.ndarray, Array]:
        """The k best items of each history, and their scores, each (B, k), best first.

        Histories may be of people never seen in training.  Items of the history are left out unless
        `exclude_seen` is False; a row with too few items left ends in -1 with score -inf.
        Raises InputError for k outside 1..M, another catalogue, or an empty history.
        """
        histories = canonical(histories)
        if not self.n_items:
            raise InputError(f"{self.id} has learnt nothing yet: call fit or load first")
        if histories.shape[1] != self.n_items:
            raise InputError(f"the histories have {histories.shape[1]} items, the model {self.n_items}")
        if not 1 <= k <= self.n_items:
            raise InputError(f"k is {k}: want 1 to {self.n_items}, the size of the catalogue")
        empty = np.flatnonzero(np.diff(histories.indptr) == 0)
        if empty.size:
            raise InputError(f"history {empty[0]} is empty: there is nothing to recommend from")
        items, scores = by_parts(histories, lambda rows: self._best(rows, k, exclude_seen))
        return items, scores

    def _best(self, histories: csr_matrix, k: int, exclude_seen: bool) -> tuple[np.ndarray, Array]:
        ops = self.ops
        seen = ops.put(histories) if exclude_seen else None
        items, scores = ops.top_k(ops.put(self.score(histories)), k, seen)
        return ops.get(items), ops.get(scores)

    def save(self, run: str | Path) -> None:
        """Write the model to the folder `run`; an earlier model there stays until the new one is complete."""
        state = {"model": self.id, "settings": self.settings, "finished": True}
        checkpoint.save(Path(run), 0, {"weights": self.ops.get(self.params)}, state)

    @classmethod
    def load(cls, run: str | Path, backend: str | None = None) -> Self:
        """Read the model that `save` or a training run left in the folder `run`.

        `backend` serves it, by default the one that it was trained with, or NumPy, with a warning, where
        that is missing here.
        Raises InputError where the folder holds no complete model, or that of another class, or where the
        model has no such backend.
        """
        arrays, state = checkpoint.load(Path(run))
        if state.get("model") != cls.id:
            raise InputError(f"{run} holds the model {state.get('model')!r}, not {cls.id!r}")
        if backend is not None:
            backends.load(backend)  # what is wrong with it is not the fault of the run
            if "backend" not in cls().settings:
                raise InputError(f"{cls.id} has no backends to choose from")
        try:
            settings = dict(state["settings"])
            if backend or "backend" in settings:
                settings["backend"] = backend or backends.usable(settings["backend"])
            model = cls(**settings)
            model.restore(arrays["weights"])
            for array in arrays["weights"].values():  # not a copy of it: it may be most of the memory
                if not -LARGEST < array.min(initial=0) <= array.max(initial=0) < LARGEST:
                    raise ValueError(f"some of its weights are not finite, or above {LARGEST}")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{run} holds no complete {cls.id} model: {error}") from None
        return model

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where they do not belong to this model."""
        self.params = arrays
