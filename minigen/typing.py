"""Names for the kinds of array that signatures speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]  # float32 to train, float64 to check
Params = dict[str, Array]  # a model's arrays by name; gradients carry the same names

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    CSR = csr_matrix
else:
    # The maths uses a CSR matrix only through its attributes, so that it needs NumPy alone.
    CSR = Any
