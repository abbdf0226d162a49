"""Chapter 12: who writes where, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigen.exercises.registry import Answer, exercise
from minigen.gradcheck import GradientError
from minigen.gradcheck.meaning import want


class _Turns:
    """A `prange` that knows whose turn it is."""

    def __init__(self) -> None:
        self.now: int | None = None

    def __call__(self, *bounds: int) -> Iterator[int]:
        for self.now in range(*bounds):
            yield self.now
        self.now = None


class _Watched:
    """An array that refuses a second writer at one place."""

    def __init__(self, values: np.ndarray, turns: _Turns) -> None:
        self.values, self._turns = values, turns
        self._owner: dict[int, int | None] = {}

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: Any) -> Any:
        return self.values[place]

    def __setitem__(self, place: Any, value: Any) -> None:
        for j in np.atleast_1d(np.arange(len(self.values))[place]).tolist():
            owner = self._owner.setdefault(j, self._turns.now)
            if owner != self._turns.now:
                raise GradientError(
                    f"d_b[{j}] is written in turn {owner} and in turn {self._turns.now}: "
                    "two threads that read the old sum at once lose one of the addends"
                )
        self.values[place] = value


@exercise(1)
def the_race(column_sums: Answer) -> None:
    """Column sums by turns that may run at the same time."""
    d_y = np.random.default_rng(0).standard_normal((5, 3))
    turns = _Turns()
    d_b = _Watched(np.ones(3), turns)
    column_sums(d_y, d_b, turns)
    want("d_b", d_b.values, 1 + d_y.sum(axis=0), 1e-9)


@exercise(2)
def the_roof(least_ms: Answer) -> None:
    """The longer of computing and fetching."""
    want("a product", least_ms(10.0, 0.1, 100.0, 20.0), 100)
    want("a pass over memory", least_ms(0.1, 2.0, 100.0, 20.0), 100)


class _Rows:
    """The weights of a layer, which count the rows that are read."""

    def __init__(self, w: np.ndarray) -> None:
        self._w, self.shape, self.read = w, w.shape, set[int]()

    def __getitem__(self, row: Any) -> Any:
        found = np.atleast_1d(np.arange(len(self._w))[row[0] if isinstance(row, tuple) else row])
        self.read.update(found.tolist())
        return self._w[row]


@exercise(3)
def only_the_clicks(first_layer: Answer) -> None:
    """A sum of rows of w, and no other row read."""
    indptr, indices = np.array([0, 2, 2, 5]), np.array([1, 4, 0, 4, 6])
    data, dense = np.array([1.0, 2, 0.5, 1, 3]), np.zeros((3, 9))
    dense[[0, 0, 2, 2, 2], indices] = data
    w = np.random.default_rng(0).standard_normal((9, 4))
    rows = _Rows(w)
    want("y", first_layer(indptr, indices, data, rows), dense @ w, 1e-9)
    if idle := rows.read - set(indices.tolist()):
        raise GradientError(f"nobody has clicked item {min(idle)}, and its row of w is read")


@exercise(4)
def more_entries_than_threads(relu_thread: Answer) -> None:
    """Every entry written, by fewer threads and by more."""
    x = np.random.default_rng(0).standard_normal(21)
    for n_threads in (21, 8, 32):
        y = np.full(21, np.nan)
        for i in range(n_threads):
            try:
                relu_thread(i, n_threads, x, y)
            except IndexError:
                words = f"thread {i} of {n_threads} reaches beyond the {x.size} entries"
                raise GradientError(words) from None
        if np.isnan(y).any():
            left = int(np.isnan(y).sum())
            raise GradientError(f"{n_threads} threads leave {left} of {x.size} entries unwritten")
        want("y", y, np.maximum(x, 0))
