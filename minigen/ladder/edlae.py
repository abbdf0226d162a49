"""EASE made robust: clicks may be missing, short histories count too, one close item is worth many."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.ops.sparse import row_of_each, row_sums, with_data
from minigen.recommender.base import canonical
from minigen.recommender.baselines import EASE, gram
from minigen.typing import Array


class EDLAE(EASE):
    """The linear autoencoder with a zero diagonal, trained with dropout, in closed form.   [eq:edlae]

    min_B sum_u w_u |x_u - x_u B|^2 + sum_i lambda_i |B_i|^2 with diag B = 0, B_i the weights of input i,
    w_u = |x_u|^-user_power, |x| the sum of a row,   lambda_i = l2 mean w + dropout / (1 - dropout) G_ii,
    has  B = I - P / diag(P),  P = (G + diag lambda)^-1,  G = X^T diag(w) X.
    score_j = c_j^-item_power sum_i x_i f(B_ij),  f(b) = sign(b) |b|^locality,  c_j the users of item j.
    With powers of 0 and locality 1: Steck 2020, "Autoencoders that don't overfit towards the Identity", and
    without dropout EASE.  A user_power keeps long histories from outvoting short ones; a locality above 1
    lets one close item say more than many distant ones (Aiolli 2013).
    """

    id: ClassVar[str] = "edlae"
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "l2": (30.0, 60.0, 120.0, 240.0, 480.0),
        "dropout": (0.0, 0.25, 0.5),
        "user_power": (0.0, 0.25, 0.5),
        "item_power": (0.0, 0.2, 0.4),
        "locality": (1.0, 1.25, 1.5, 1.75),
    }

    def __init__(
        self,
        l2: float = 60.0,
        dropout: float = 0.5,
        user_power: float = 0.25,
        item_power: float = 0.2,
        locality: float = 1.5,
    ) -> None:
        super().__init__(l2)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout: want at least 0 and below 1, got {dropout}")
        for name, power in (("user_power", user_power), ("item_power", item_power)):
            if not math.isfinite(power):
                raise InputError(f"{name}: want a number, got {power}")
        if not 0 < locality < math.inf:
            raise InputError(f"locality: want a number above 0, got {locality}")
        self.dropout, self.user_power = dropout, user_power
        self.item_power, self.locality = item_power, locality

    def fit(self, train: csr_matrix, validation: Any = None) -> Self:
        """Solve for the item-item weights (M, M) of `train` (U, M); memory as for EASE."""
        super().fit(train)
        weights = self.params["weights"]
        if self.locality != 1:
            np.copysign(np.abs(weights) ** self.locality, weights, out=weights)
        n_users = np.maximum(np.bincount(canonical(train).indices, minlength=len(weights)), 1)
        weights *= n_users.astype(weights.dtype) ** -self.item_power
        return self

    def _with_ridge(self, train: csr_matrix, dtype: DTypeLike) -> Array:
        length = row_sums(train.data.astype(np.float64), train)
        w = np.power(length, -self.user_power, out=np.ones_like(length), where=length > 0)
        half = with_data(train, train.data * np.sqrt(w)[row_of_each(train)])
        matrix = gram(half, dtype)
        mean = w[length > 0].mean() if train.nnz else 1.0  # people without a click say nothing
        ridge = self.l2 * mean + self.dropout / (1 - self.dropout) * np.diag(matrix)
        matrix[np.diag_indices(len(matrix))] += ridge
        return matrix
