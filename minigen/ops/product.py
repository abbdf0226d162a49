"""The gradient of a weight before it is multiplied: an optimiser that knows how takes it a part at a time."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from minigen.typing import Array


class Product(NamedTuple):
    """d_w = x^T d_y (I, O) of rows x (B, I), dense or CSR, and d_y (B, O); `out` (I, O) is room for it.

    `squares` is |d_y|^2: who made d_y, or added it up, has met every entry.
    """

    x: Any
    d_y: Array
    out: Array
    squares: float

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the gradient, (I, O)."""
        return self.x.shape[1], self.d_y.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """The type of its entries."""
        return self.d_y.dtype

    def whole(self) -> Array:
        """The gradient, in `out`."""
        if isinstance(self.x, np.ndarray):
            return np.matmul(self.x.T, self.d_y, out=self.out)
        self.out[...] = self.x.T @ self.d_y
        return self.out

    def surely_finite(self) -> bool:
        """Whether no entry can be too large: each is at most |x| |d_y|, in exact arithmetic."""
        x = self.x if isinstance(self.x, np.ndarray) else self.x.data
        most = math.sqrt(float(np.vdot(x, x)) * self.squares)
        return most < float(np.finfo(self.dtype).max) / 2  # a half for what rounding adds
