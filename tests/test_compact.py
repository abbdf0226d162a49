"""A decoder in 16 bits: how near it is, what it refuses, and that it recommends the same."""

from __future__ import annotations

import json
import runpy
import sys

import numpy as np
import pytest
from scipy import sparse

from minigen import ops
from minigen.bench import compact as bench
from minigen.errors import InputError
from minigen.ladder.recvae import RecVAE
from minigen.recommender import MultVAE
from minigen.recommender.compact import Compact


def rows(n_users=60, n_items=200):
    dense = np.random.default_rng(0).random((n_users, n_items)) < 0.1
    dense[:, 0] = True
    return sparse.csr_matrix(dense.astype(np.float32))


def test_a_weight_is_off_by_half_a_unit_of_its_output_at_most():
    w = np.random.default_rng(1).standard_normal((7, 5000)) * np.logspace(-3, 3, 5000)
    w[:, 3] = 0
    values, scale = ops.shorten(w)
    assert values.dtype == np.int16
    assert np.abs(values).max(axis=1)[[0, 1, 2, 4]].tolist() == [32767] * 4
    assert (np.abs(values.T * scale - w) <= scale / 2 * (1 + 1e-9)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_too_small_for_a_scale_are_0_and_keep_their_sign(dtype):
    tiny = np.finfo(dtype).tiny
    least = 2.2 * 32767 * np.finfo(dtype).smallest_subnormal  # by a scale of 2 of these it is above 2^15
    w = np.array([[least, 3e4 * tiny, 4e4 * tiny], [-least, -3e4 * tiny, 4e4 * tiny]], dtype)
    values, scale = ops.shorten(w)
    assert (scale > 0).all()
    assert (values.T * w >= 0).all()
    assert values[2].tolist() == [32767, 32767]
    assert (np.abs(values.T * scale - w) <= np.maximum(scale / 2, 32767 * tiny)).all()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("hidden", [0, 30])
def test_it_recommends_what_the_model_does(backend, hidden):
    model = MultVAE(hidden=hidden, latent=8, epochs=3, batch=20, backend=backend).fit(rows())
    compact = Compact(model)
    for some in (rows(), rows()[:1]):
        wanted, got = model.score(some), compact.score(some)
        assert 0 < np.abs(got - wanted).max() < 1e-4 * np.abs(wanted).max()
        np.testing.assert_array_equal(compact.recommend(some, k=5)[0], model.recommend(some, k=5)[0])
    assert (compact.n_items, compact.settings) == (model.n_items, model.settings)


def test_only_a_trained_plain_decoder_can_be_compact():
    with pytest.raises(InputError, match="compact"):
        Compact(MultVAE())
    with pytest.raises(InputError, match="compact"):
        Compact(RecVAE(hidden=4, latent=2, layers=1, epochs=1).fit(rows()))
    with pytest.raises(InputError, match="only serves"):
        Compact(MultVAE(hidden=0, latent=2, epochs=1).fit(rows())).fit(rows())


@pytest.mark.parametrize("x, b", [((2, 4), 5), ((2, 3), 4)])
def test_shapes_that_do_not_fit_are_named(x, b):
    with pytest.raises(ValueError, match="want shape"):
        ops.short_dense_forward(np.ones(x), ops.shorten(np.ones((3, 5))), np.ones(b))


def test_changes_of_a_runs_lists_are_told_and_written(shop_run, tmp_path, monkeypatch, capsys):
    file = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["compact", str(shop_run), str(file)])
    runpy.run_path(bench.__file__, run_name="__main__")
    (row,) = json.loads(file.read_text("utf-8"))["rows"]
    assert (row["op"], row["model"], row["users"]) == ("compact_top10", "mult-vae", 31)
    assert 0 <= row["items_changed"] <= row["order_changed"] < 0.2
    assert capsys.readouterr().out.startswith(f"of 31 users: {row['items_changed']:.2%} with other items, ")
