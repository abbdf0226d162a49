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

    By the Gumbel trick: the largest of log weight + Gumbel noise are a draw without replacement.
    """
    rng = np.random.default_rng(seed)
    log_weight = -np.log(np.arange(n_items) + 20)
    indices = np.empty((n_rows, clicks), np.int32)
    for u in range(n_rows):
        keys = log_weight + rng.gumbel(size=n_items)
        indices[u] = np.sort(np.argpartition(keys, -clicks)[-clicks:])
    data = np.ones(indices.size, np.float32)
    return csr_matrix(
        (data, indices.ravel(), np.arange(n_rows + 1, dtype=np.int32) * clicks), (n_rows, n_items)
    )
