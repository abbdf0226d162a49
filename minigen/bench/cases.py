"""What is timed: a piece of work with the least that it must compute and move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Case:
    """`run` does the work once.  `gflop` of matrix products and `gb` of memory traffic cannot be avoided."""

    run: Callable[[], Any]
    gflop: float = 0.0
    gb: float = 0.0


def long_tailed_rows(n_rows: int, n_items: int, clicks: int, seed: int = 0) -> csr_matrix:
    """CSR (n_rows, n_items) of `clicks` ones a row, drawn without repetition; item r has weight 1 / (r + 20).

    Drawn with repetition until there are enough different items: the later ones of equals do not count.
    """
    rng = np.random.default_rng(seed)
    up_to = np.cumsum(1 / (np.arange(n_items) + 20))
    indices = np.empty((n_rows, clicks), np.int32)
    for u in range(n_rows):
        drawn = np.empty(0, np.intp)
        while drawn.size < clicks:
            more = np.searchsorted(up_to, up_to[-1] * rng.random(2 * clicks), side="right")
            drawn = np.concatenate([drawn, np.minimum(more, n_items - 1)])
            drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]  # as they came
        indices[u] = np.sort(drawn[:clicks])
    data = np.ones(indices.size, np.float32)
    return csr_matrix(
        (data, indices.ravel(), np.arange(n_rows + 1, dtype=np.int32) * clicks), (n_rows, n_items)
    )
