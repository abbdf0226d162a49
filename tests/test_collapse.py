"""The collapse report: what is counted is right, and the words fit the code they are about."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import linear_gaussian, ops, vae
from minigen.collapse import active_units, collapse_report, kl_per_dimension, mutual_information
from minigen.vae import Form

GAUSSIAN = Form("tanh", "gaussian")


@pytest.fixture
def data(rng):
    x = rng.standard_normal((300, 3)) @ (3 * np.linalg.qr(rng.standard_normal((6, 3)))[0].T)
    return x + 0.5 * rng.standard_normal(x.shape)


def test_kl_per_dimension_sums_to_the_kl(rng):
    mu, log_var = rng.standard_normal((2, 50, 4))
    kl = kl_per_dimension(mu, log_var)
    assert kl.shape == (4,)
    assert kl.sum() == pytest.approx(ops.gaussian_kl_forward(mu, log_var)[0], rel=1e-12)


def test_a_unit_is_active_where_its_mean_moves(rng):
    mu = rng.standard_normal((2000, 3)) * np.array([1.0, 0.05, 0.2]) + np.array([0, 7.0, 0])
    np.testing.assert_array_equal(active_units(mu), [True, False, True])


def test_mutual_information_of_codes_apart_is_log_n_and_of_equal_ones_0(rng):
    far = 100 * np.arange(20.0)[:, None]
    assert mutual_information(far, 0 * far, far + rng.standard_normal(far.shape)) == pytest.approx(np.log(20))
    same = np.zeros((20, 3))
    assert mutual_information(same, same, rng.standard_normal((20, 3))) == pytest.approx(0, abs=1e-12)


def test_a_code_in_full_use(data, rng):
    params = linear_gaussian.as_vae(linear_gaussian.ppca(data, 3))
    report = collapse_report(params, data, rng, GAUSSIAN)
    assert report.active.all()
    assert report.kl.sum() == pytest.approx(report.rate)
    assert 0 < report.mutual_information < report.rate
    assert report.words.startswith("in full use: 3 of 3 units")
    # The posterior is the true one: distortion and rate add up to the evidence.
    evidence = linear_gaussian.log_evidence(linear_gaussian.of_vae(params), data).mean()
    assert report.distortion + report.rate == pytest.approx(-evidence, abs=0.3)


def test_some_units_follow_the_prior(data, rng):
    params = linear_gaussian.as_vae(linear_gaussian.ppca(data, 3))
    spare = vae.init_params((6, 5), rng, GAUSSIAN, np.float64)
    for name in ("encoder.w0", "encoder.b0", "decoder.w0"):
        spare[name][:] = 0
    spare["encoder.w0"][:, :3] = params["encoder.w0"][:, :3]
    spare["encoder.w0"][:, 5:8] = params["encoder.w0"][:, 3:]
    spare["encoder.b0"][:3], spare["encoder.b0"][5:8] = np.split(params["encoder.b0"], 2)
    spare["decoder.w0"][:3] = params["decoder.w0"]
    report = collapse_report(spare, data, rng, GAUSSIAN)
    np.testing.assert_array_equal(report.active, [True] * 3 + [False] * 2)
    assert report.words.startswith("in use: 3 of 5 units are active")
    assert "the other 2 follow the prior" in report.words


def test_a_collapsed_code_is_called_one(data, rng):
    params = vae.init_params((6, 4), rng, GAUSSIAN, np.float64)
    for name in ("encoder.w0", "encoder.b0"):
        params[name][:] = 0
    report = collapse_report(params, data, rng, GAUSSIAN)
    assert report.rate == 0
    assert report.words.startswith("collapsed: none of 4 units is active and the rate is 0 nats")
    params["encoder.b0"][:2] = 1  # pays for a mean that is the same for every x
    report = collapse_report(params, data, rng, GAUSSIAN)
    assert not report.active.any()
    assert "yet 2 pay a KL, 1.00 nats in all" in report.words
    assert report.mutual_information == pytest.approx(0, abs=1e-9)


def test_one_unit_of_many_is_nearly_collapsed(data, rng):
    params = vae.init_params((6, 20), rng, GAUSSIAN, np.float64)
    for name in ("encoder.w0", "encoder.b0"):
        params[name][:] = 0
    params["encoder.w0"][:, 0] = 1
    assert collapse_report(params, data, rng, GAUSSIAN).words.startswith("nearly collapsed: only 1 of 20")


def test_one_row_is_not_enough(data, rng):
    with pytest.raises(ValueError, match="x: want two rows at least, got 1"):
        collapse_report(vae.init_params((6, 2), rng, GAUSSIAN), data[:1], rng, GAUSSIAN)
