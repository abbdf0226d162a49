"""What the kernels have for exp and max is right to rounding, over all that it is given."""

from __future__ import annotations

import numpy as np
import pytest

from minigen.ops import numba_maths


def test_the_short_series_is_exp_below_0():
    x = np.linspace(-87, 0, 2001, dtype=np.float32)
    got = np.array([numba_maths._exp_float32(a) for a in x])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.exp(x.astype(np.float64)), rtol=3e-7)
    assert numba_maths._exp_float32(np.float32(-88)) == 0
    assert numba_maths._exp_float64(-800.0) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_of_either_sign(dtype):
    largest = numba_maths._max_float32 if dtype == np.float32 else numba_maths._max_float64
    for row in ([-3.0], [-2.0, -0.5, -7.0], [0.0, 1e-40, -1e30], [5.0, np.inf], [-np.inf, -1.0]):
        assert largest(np.array(row, dtype)) == np.array(row, dtype).max()
