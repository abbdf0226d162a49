"""Initialisers: the spread that the formulas ask for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from minigen import initializers


def test_xavier_is_uniform_within_its_bound(rng):
    w = initializers.xavier_uniform(300, 100, rng, np.float64)
    bound = np.sqrt(6 / 400)
    assert w.shape == (300, 100)
    assert stats.kstest(w.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_he_is_normal_with_variance_2_over_inputs(rng):
    w = initializers.he_normal(300, 100, rng, np.float64)
    assert stats.kstest(w.ravel(), stats.norm(0, np.sqrt(2 / 300)).cdf).pvalue > 1e-3


def test_truncated_normal_stays_within_two_standard_deviations(rng):
    b = initializers.truncated_normal(20_000, 0.1, rng, np.float64)
    assert np.abs(b).max() <= 0.2
    assert stats.kstest(b, stats.truncnorm(-2, 2, scale=0.1).cdf).pvalue > 1e-3


def test_he_keeps_the_signal_through_ten_relu_layers(rng):
    x = rng.standard_normal((64, 256))
    for _ in range(10):
        x = np.maximum(x @ initializers.he_normal(256, 256, rng, np.float64), 0)
    assert 0.3 < (x * x).mean() < 3


@pytest.mark.parametrize("make", [initializers.xavier_uniform, initializers.he_normal])
def test_dtype_and_seed(make):
    a, b = (make(4, 3, np.random.default_rng(5)) for _ in range(2))
    assert a.dtype == np.float32
    np.testing.assert_array_equal(a, b)
